"""Commands of SLURM."""

import shutil
import subprocess
import time
from collections.abc import Collection, Mapping

TIMEOUT_SECONDS = 20.0
"""After so long without an answer, SLURM's controller counts as away."""


def is_here() -> bool:
    """Whether this machine can submit jobs."""
    return shutil.which("sbatch") is not None and shutil.which("srun") is not None


def queue(jobs: Collection[str]) -> Mapping[str, str] | None:
    """Return SLURM's state of those jobs that it has not done with, for example ``{"71_4": "PENDING"}``.

    ``None`` where it is here but does not answer.
    """
    answer = _ask("squeue", "--me", "--noheader", "--array", "--format=%i|%T") if jobs and is_here() else ""
    if answer is None:
        return None
    rows = [line.strip().split("|") for line in answer.splitlines() if "|" in line]
    return {job: state for job, state in rows if job in jobs}


def seconds_left(job: str) -> float | None:
    """Return the seconds until a job's time limit; ``None`` where there is none, or SLURM cannot be asked."""
    answer = _ask("squeue", "--noheader", f"--jobs={job}", "--format=%L")
    days, _, clock = (answer or "").strip().rpartition("-")
    try:
        seconds = 0
        for part in clock.split(":"):
            seconds = 60 * seconds + int(part)
        return float(86400 * int(days or 0) + seconds)
    except ValueError:  # UNLIMITED, or no answer
        return None


def requeue(job: str, patience: float) -> bool:
    """Put a running job back into the queue; ask again for ``patience`` seconds where SLURM does not answer."""
    deadline = time.monotonic() + patience
    while _ask("scontrol", "requeue", job) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(1.0)
    return True


def _ask(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
