"""Calls of SLURM's commands."""

import shutil
import subprocess
import time
from collections.abc import Collection, Mapping

TIMEOUT_SECONDS = 20.0
"""Time limit of one command. After it, SLURM's controller counts as unreachable."""


def is_here() -> bool:
    """Return whether this machine can submit jobs."""
    return shutil.which("sbatch") is not None and shutil.which("srun") is not None


def queue(jobs: Collection[str]) -> Mapping[str, str] | None:
    """Return the states of the given jobs that are in SLURM's queue; ``None`` if SLURM exists but does not answer.

    Args:
        jobs: Job ids, for example ``"71_4"``.

    Example:
        >>> queue([])  # with jobs, for example {"71_4": "PENDING"}
        {}
    """
    answer = _ask("squeue", "--me", "--noheader", "--array", "--format=%i|%T") if jobs and is_here() else ""
    if answer is None:
        return None
    rows = [line.strip().split("|") for line in answer.splitlines() if "|" in line]
    return {job: state for job, state in rows if job in jobs}


def seconds_left(job: str) -> float | None:
    """Return the seconds until a job's time limit; ``None`` without a limit or if SLURM does not answer."""
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
    """Put a running job back into the queue; return whether SLURM accepted it.

    Args:
        job: Job id.
        patience: Seconds during which the command is repeated if it fails.
    """
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
