"""Job queues: SLURM, or processes on this machine for trials."""

import getpass
import logging
import os
import shutil
import subprocess
import time
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, final

from nas.errors import RunError, UserError
from nas.executor.job import EvaluationJob

log = logging.getLogger(__name__)

QUERY_SECONDS = 60  # time limit of a SLURM command
PATIENCE_SECONDS = 900  # time limit for an unreachable controller when jobs are submitted
RETRY_SECONDS = 5.0  # between two attempts
ARRAY_JOBS = 1000  # maximum size of an array; SLURM's default limit is 1001
AWAY = ("unable to contact", "connection refused", "timed out", "connect failure", "communication", "temporarily")
"""Phrases in the errors of SLURM commands that mean an unreachable controller, not an invalid request."""

JOB_VARIABLES = ("SLURM_", "SLURMD_", "SRUN_", "SUBMITIT_")
"""Prefixes of environment variables that describe a job; submitit's own cleanup would also remove SLURM_CONF."""

LOG_CHARACTERS = 4000  # kept from the end of a job's log


class Queue(ABC):
    """Base class for job queues.

    Example:
        >>> from nas.executor.queues import LocalQueue, Queue, SlurmQueue
        >>> issubclass(SlurmQueue, Queue), issubclass(LocalQueue, Queue)
        (True, True)
    """

    @abstractmethod
    def submit(self, jobs: Sequence[EvaluationJob]) -> list[str]:
        """Start or enqueue jobs; return their names."""

    @abstractmethod
    def expected(self, names: Sequence[str]) -> set[str]:
        """Return the jobs that wait, run, or run again after preemption.

        If the queue cannot tell, it returns all given names.

        Args:
            names: Names of the jobs to ask about.
        """

    @abstractmethod
    def cancel(self) -> None:
        """End all jobs of this run, including those that an earlier process submitted."""

    @abstractmethod
    def log_of(self, name: str) -> str:
        """Return the end of a job's output."""


class _Submitit(Queue):
    """Queue that submits through submitit.

    Its pickles are written to and read from a folder that only its owner can enter.
    """

    def __init__(self, folder: Path, cluster: str, parameters: Mapping[str, Any]) -> None:
        import submitit

        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        self._executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
        self._executor.update_parameters(**parameters)
        self._jobs: dict[str, Any] = {}

    def _start(self, jobs: Sequence[EvaluationJob]) -> list[Any]:
        with _environment(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with self._executor.batch():
                started = [self._executor.submit(job) for job in jobs]
        return started

    def log_of(self, name: str) -> str:
        parts = []
        for path in (self._jobs[name].paths.stdout, self._jobs[name].paths.stderr):
            with suppress(OSError):
                parts.append(path.read_text(errors="replace")[-LOG_CHARACTERS:])
        return "\n".join(parts)


@final
class SlurmQueue(_Submitit):
    """Queue of SLURM job arrays, which are found again by the name of the run's jobs."""

    def __init__(self, folder: Path, name: str, parameters: Mapping[str, Any]) -> None:
        """Set up the queue.

        Args:
            folder: Folder for submitit's files.
            name: Name of the run's jobs.
            parameters: Parameters of submitit.
        """
        super().__init__(folder, "slurm", {"name": name, **parameters})
        self._name = name

    def submit(self, jobs: Sequence[EvaluationJob]) -> list[str]:
        """Submit job arrays; try again while the controller cannot be reached.

        Raises:
            RunError: If SLURM refuses the jobs, or its controller stays unreachable.
        """
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        end = time.monotonic() + PATIENCE_SECONDS
        started: list[Any] = []
        while len(started) < len(jobs):
            try:
                started += self._start(jobs[len(started) :][:ARRAY_JOBS])
            except (FailedJobError, FailedSubmissionError, subprocess.CalledProcessError) as error:
                said = str(error).strip().splitlines()[-1]
                if not any(word in str(error).lower() for word in AWAY) or time.monotonic() > end:
                    raise RunError(f"SLURM did not take the jobs: {said}") from error
                log.warning("SLURM's controller is away, trying again: %s", said)
                time.sleep(RETRY_SECONDS)
        names = [str(job.job_id) for job in started]
        self._jobs |= dict(zip(names, started, strict=True))
        return names

    def expected(self, names: Sequence[str]) -> set[str]:
        """Ask the controller, because not every cluster has accounting."""
        said = _query(
            "squeue", "--noheader", "--array", f"--user={getpass.getuser()}", f"--name={self._name}", "--format=%i"
        )
        return set(names) if said is None else {name.strip() for name in said.splitlines()} & set(names)

    def cancel(self) -> None:
        """Cancel by job name, so that jobs of a killed process are found too."""
        self._jobs.clear()
        if _query("scancel", f"--user={getpass.getuser()}", f"--name={self._name}") is None:
            log.warning("jobs named %s could not be cancelled; scancel --name=%s does it", self._name, self._name)


@final
class LocalQueue(_Submitit):
    """Queue of processes on this machine, with a limited number at a time."""

    def __init__(self, folder: Path, most: int, parameters: Mapping[str, Any]) -> None:
        """Set up the queue.

        Args:
            folder: Folder for submitit's files.
            most: Maximum number of jobs that run at a time.
            parameters: Parameters of submitit.
        """
        super().__init__(folder, "local", parameters)
        self._most = most
        self._waiting: deque[tuple[str, EvaluationJob]] = deque()
        self._running: dict[str, Any] = {}
        self._n = 0

    def submit(self, jobs: Sequence[EvaluationJob]) -> list[str]:
        """Enqueue jobs and start as many as may run."""
        names = [str(self._n + index) for index in range(len(jobs))]
        self._n += len(jobs)
        self._waiting.extend(zip(names, jobs, strict=True))
        self._next()
        return names

    def expected(self, names: Sequence[str]) -> set[str]:
        """Start waiting jobs in place of finished ones; return the jobs that wait or run."""
        self._next()
        return {*self._running, *(name for name, _ in self._waiting)} & set(names)

    def cancel(self) -> None:
        """End the jobs of this process; those of a killed process have ended with it."""
        self._waiting.clear()
        for job in self._running.values():
            job.cancel()

    def _next(self) -> None:
        self._running = {name: job for name, job in self._running.items() if not job.done()}
        while self._waiting and len(self._running) < self._most:
            name, job = self._waiting.popleft()
            (self._running[name],) = self._start([job])
            self._jobs[name] = self._running[name]


def check_slurm(partition: str | None) -> None:
    """Check that SLURM and the partition exist.

    Args:
        partition: Name of the partition; ``None`` for SLURM's default.

    Raises:
        UserError: If there is no SLURM or no such partition.
    """
    if shutil.which("sbatch") is None:
        raise UserError(
            "executor=submitit needs SLURM: there is no sbatch on this machine; use executor=process, or "
            "executor.cluster=local to try it out"
        )
    said = _query("sinfo", "--noheader", "--format=%R")
    partitions = sorted(set(said.split())) if said else []
    if partition is not None and partitions and partition not in partitions:
        raise UserError(f"executor.partition={partition} is unknown to SLURM; choices: {', '.join(partitions)}")


def _query(*command: str) -> str | None:
    """Return the output of a SLURM command; ``None``, with a warning, if the command fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=QUERY_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        log.warning("%s: %s", command[0], said[-1] if said else "no answer")
        return None
    return done.stdout


@contextmanager
def _environment() -> Iterator[None]:
    """Set the environment for submission: jobs can import this project, and inherit no variables of an outer job."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(JOB_VARIABLES) and name != "SLURM_CONF":
            del os.environ[name]
    root = str(Path(__file__).parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [before.get("PYTHONPATH")])])
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
