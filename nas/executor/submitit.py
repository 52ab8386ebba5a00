"""Evaluation on a cluster: each batch of architectures is a SLURM job array."""

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, Literal, final
from uuid import uuid4

import torch

from nas.errors import UserError
from nas.executor.base import EvaluatorReplica, Executor, Work
from nas.executor.job import EvaluationJob, Outstanding, ResultFiles, chunks
from nas.executor.queues import LocalQueue, Queue, SlurmQueue, check_slurm
from nas.executor.workers import Limits
from nas.training import checkpoint
from nas.types import Architecture, Evaluation, NonNegativeInt, PositiveFloat, PositiveInt, Seconds

log = logging.getLogger(__name__)

END_SECONDS = 30.0  # time for jobs to end before their files are removed
END_LOOK_SECONDS = 0.5
POLLS_A_LOOK = 5  # checks for results per query of the queue


@final
class Submitit(Executor):
    """Executor that evaluates architectures in jobs on a SLURM cluster.

    Each job evaluates some architectures in worker processes of its own, so that a crash or a hang affects only one
    worker. A job writes each result to a file in the run folder as soon as it is known, as JSON with a checksum.
    Nothing that a job wrote is unpickled.

    A job can end without its results, for example after scancel, a node failure, lack of memory or its time limit. The
    remaining architectures are then submitted again. An architecture fails after too many such jobs that finished
    nothing. A job that SLURM itself requeues, for example after preemption, resumes with the remaining architectures.
    When a killed run is resumed, it uses the existing results and cancels the jobs that still run.

    Example:
        >>> from pathlib import Path
        >>> from nas.executor.submitit import Submitit
        >>> replica = lambda device: None  # builds the run's evaluator; called in the jobs
        >>> executor = Submitit(
        ...     device="cpu", evaluator_replica=replica, folder=Path("run"), cluster="local", parameters={}
        ... )
        >>> executor.elsewhere
        True
    """

    elsewhere = True

    def __init__(
        self,
        *,
        folder: Path,
        device: str,
        evaluator_replica: EvaluatorReplica,
        cluster: Literal["slurm", "local"] = "slurm",
        partition: str | None = None,
        time: PositiveInt = 60,
        cpus: PositiveInt = 4,
        gpus: NonNegativeInt = 0,
        mem_gb: PositiveFloat = 8,
        array_parallelism: PositiveInt = 32,
        chunk: PositiveInt = 8,
        setup_commands: tuple[str, ...] = (),
        parameters: dict[str, str | int | bool],
        workers_per_gpu: PositiveInt = 1,
        retries: NonNegativeInt = 2,
        timeout: Seconds | None = 3600,
        start_timeout: Seconds = 1800,
        poll: PositiveFloat = 2,
    ) -> None:
        """Describe the jobs.

        Args:
            device: Torch device of the run itself.
            evaluator_replica: Function that builds the evaluator in a worker.
            folder: Run folder, on a file system that all machines share.
            cluster: Cluster type: ``"slurm"``, or ``"local"`` for processes on this machine, to try settings out.
            partition: SLURM partition; ``None`` for its default.
            time: Time limit of a job, in minutes.
            cpus: Number of CPU cores of a job. Without GPUs they are divided among workers, each with the run's number
                of threads.
            gpus: Number of GPUs of a job; 0 evaluates on the CPU.
            mem_gb: Memory of a job, in GB.
            array_parallelism: Maximum number of jobs that run at a time.
            chunk: Number of architectures per job. Choose not too few, because a job takes seconds to start and to
                read the data.
            setup_commands: Shell commands to run before a job, for example ``module load cuda``.
            parameters: Additional options of sbatch by name, for example ``{account: abc, qos: high}``.
            workers_per_gpu: Number of workers on each GPU of a job.
            retries: Number of times an architecture is evaluated again after its worker or its job died or hung.
            timeout: Time limit for one task of a worker, in seconds; ``None`` for the job's time limit only.
            start_timeout: Time limit for the start of a worker, in seconds.
            poll: Seconds between two checks for results.

        Raises:
            UserError: If there is no SLURM or no such partition, or jobs would lack a GPU.
        """
        _check(device, gpus, cluster, partition)
        self._replica = evaluator_replica
        self._folder = folder.absolute() / "jobs"
        self._parameters = _of_job(time, cpus, gpus, mem_gb)
        self._slurm = _of_slurm(partition, array_parallelism, setup_commands, parameters)
        self._cluster = cluster
        self._chunk = chunk
        self._limits = Limits(retries, timeout, start_timeout)
        self._machine: dict[str, Any] = {"gpu": gpus > 0, "cpus": cpus, "workers_per_gpu": workers_per_gpu}
        self._poll = poll
        self._queue: Queue | None = None
        self._digest: str | None = None
        self._names: list[str] = []  # names of all jobs

    @property
    def _results(self) -> Path:
        return self._folder / "results"

    def map(self, work: Work, architectures: Sequence[Architecture]) -> Iterator[tuple[int, Evaluation]]:
        """Yield (index, evaluation) as jobs finish them."""
        if not architectures:
            return
        queue = self._ready()
        outstanding = Outstanding(architectures, ResultFiles(self._results, work.split, work.weights))
        yield from outstanding.found(failures=False)  # results of an earlier process of this run
        groups = [[i for i in group if i in outstanding.left] for group in work.evaluator.groups(architectures)]
        self._submit(queue, outstanding, chunks(groups, self._chunk), work, architectures)
        polls = 0
        while outstanding.left:
            time.sleep(self._poll)
            polls += 1
            yield from outstanding.found(failures=True)
            if polls % POLLS_A_LOOK == 0 and outstanding.left:
                gone = outstanding.gone(queue.expected(list(outstanding.jobs)))
                yield from outstanding.found(failures=True)  # results that arrived before the jobs ended
                again: list[list[int]] = []
                for name in gone:
                    failed, parts = outstanding.bury(name, self._limits.retries)
                    again += parts
                    if failed or parts:
                        log.warning(
                            "job %s is gone without the results of %d architectures",
                            name,
                            sum(map(len, parts)) + len(failed),
                        )
                    yield from ((index, Evaluation({}, error=_error(queue, name))) for index in failed)
                self._submit(queue, outstanding, again, work, architectures)
        outstanding.clear()

    def device(self) -> AbstractContextManager[None]:
        """Hold nothing: jobs have GPUs of their own, and the run trains on a GPU of its own."""
        return nullcontext()

    def close(self) -> None:
        """Cancel this run's remaining jobs and remove their files; results that were not read yet stay."""
        if self._queue is None:
            return
        self._queue.cancel()
        end = time.monotonic() + END_SECONDS
        while self._queue.expected(self._names) and time.monotonic() < end:
            time.sleep(END_LOOK_SECONDS)
        self._queue, self._digest = None, None
        self._names.clear()
        for path in [*self._results.glob("*"), self._results]:
            with suppress(OSError):  # the folder still holds results
                path.rmdir()
        self._clear()

    def _ready(self) -> Queue:
        """Return the queue, without jobs or files of an earlier process of this run."""
        if self._queue is None:
            self._clear()
            pickles = self._folder / f"submitit-{uuid4().hex}"
            if self._cluster == "slurm":
                name = f"nas-{hashlib.sha256(str(self._folder).encode()).hexdigest()[:16]}"
                self._queue = SlurmQueue(pickles, name, self._parameters | self._slurm)
                self._queue.cancel()
            else:
                self._queue = LocalQueue(pickles, self._slurm["slurm_array_parallelism"], self._parameters)
        return self._queue

    def _clear(self) -> None:
        """Remove all files except results."""
        for path in self._folder.glob("submitit-*"):
            shutil.rmtree(path, ignore_errors=True)
        for path in self._folder.glob("weights-*.pt"):
            path.unlink()
        with suppress(OSError):  # the folder still holds results, or does not exist
            self._folder.rmdir()

    def _submit(
        self,
        queue: Queue,
        outstanding: Outstanding,
        parts: Sequence[list[int]],
        work: Work,
        architectures: Sequence[Architecture],
    ) -> None:
        """Submit one job for each part of the architectures."""
        if not parts:
            return
        weights = self._handed(work)
        jobs = []
        for part in parts:
            members = [architectures[index] for index in part]
            groups = [[members[i] for i in group] for group in work.evaluator.groups(members)]
            jobs.append(self._job(groups, work, weights))
        for name, part in zip(queue.submit(jobs), parts, strict=True):
            outstanding.jobs[name] = part
            self._names.append(name)

    def _job(self, groups: list[list[Architecture]], work: Work, weights: Path | None) -> EvaluationJob:
        return EvaluationJob(
            replica=self._replica,
            groups=groups,
            split=work.split,
            digest=work.weights,
            weights=weights,
            results=self._results,
            **self._machine,
            threads=torch.get_num_threads(),
            limits=self._limits,
            run=os.getpid() if self._cluster == "local" else None,
        )

    def _handed(self, work: Work) -> Path | None:
        """Return the file with the weights for the jobs; it is written again only after they changed."""
        if work.weights is None:
            return None
        path = self._folder / f"weights-{work.weights[:16]}.pt"
        if self._digest != work.weights:
            for old in self._folder.glob("weights-*.pt"):
                old.unlink()
            checkpoint.save(path, work.evaluator.weights())
            self._digest = work.weights
        return path


def _check(device: str, gpus: int, cluster: str, partition: str | None) -> None:
    if device.startswith("cuda") and gpus == 0:
        raise UserError(f"executor.gpus=0: jobs would compute on the CPU, but device={device}; give them a GPU")
    if cluster == "slurm":
        check_slurm(partition)


def _of_job(minutes: int, cpus: int, gpus: int, mem_gb: float) -> dict[str, Any]:
    """Return submitit's parameters for the resources of a job."""
    taken = {"timeout_min": minutes, "cpus_per_task": cpus, "mem_gb": mem_gb}
    return taken | ({"gpus_per_node": gpus} if gpus else {})


def _of_slurm(
    partition: str | None, parallelism: int, setup: Sequence[str], options: Mapping[str, str | int | bool]
) -> dict[str, Any]:
    """Return submitit's parameters that apply to SLURM only."""
    found: dict[str, Any] = {"slurm_array_parallelism": parallelism, "slurm_setup": list(setup)}
    found |= {"slurm_additional_parameters": {"requeue": True, **options}}
    return found | ({"slurm_partition": partition} if partition else {})


def _error(queue: Queue, name: str) -> str:
    return f"{queue.log_of(name)}\nJobDied: its job, {name} at last, ended without a result too often"
