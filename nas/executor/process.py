"""Evaluation in persistent worker processes on this machine, on GPUs or on the CPU."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import IO, final

import torch

from nas.errors import UserError
from nas.executor.base import EvaluatorReplica, Executor, Work
from nas.executor.gpu_slots import computing_slot
from nas.executor.workers import Limits, Weights, Workers, cores, devices, split_up
from nas.objective.base import Measurement, Objective
from nas.training import checkpoint
from nas.types import Architecture, Evaluation, NonNegativeInt, PositiveInt, Seconds

log = logging.getLogger(__name__)

PARTS_A_WORKER = 2  # minimum parts of a batch per worker, so that no worker waits long for the last part


@final
class Process(Executor):
    """Executor with persistent worker processes on this machine.

    Each worker builds data set and supernet once and receives the supernet's weights again only after they changed.

    Results equal those of ``executor=serial``: each worker uses as many threads as the run itself, because the last
    digits depend on the number of threads. The weights are passed in an unnamed temporary file, which cannot be left
    behind. With 50 MB in 500 tensors, two workers have the weights after 0.14 s, compared with 0.21 s through pipes and
    0.35 s in torch's shared memory (``benchmarks/executor.txt``), which also needs a file per tensor.

    Example:
        >>> from contextlib import closing
        >>> from nas.executor.process import Process
        >>> replica = lambda device: None  # builds the run's evaluator; called in the workers
        >>> with closing(Process(device="cpu", evaluator_replica=replica, objectives=[], cpu_workers=2)) as executor:
        ...     executor.elsewhere
        True
    """

    elsewhere = True

    def __init__(
        self,
        *,
        device: str,
        evaluator_replica: EvaluatorReplica,
        objectives: Sequence[Objective],
        gpus: tuple[NonNegativeInt, ...] | None = None,
        workers_per_gpu: PositiveInt = 1,
        cpu_workers: PositiveInt | None = None,
        retries: NonNegativeInt = 2,
        timeout: Seconds | None = 3600,
        start_timeout: Seconds = 1800,
    ) -> None:
        """Describe the workers; they start with the first evaluations.

        Args:
            device: Torch device of the run; workers use GPUs or the CPU accordingly.
            evaluator_replica: Function that builds the evaluator in a worker.
            objectives: Objectives of the search.
            gpus: Indices of the GPUs for workers; ``None`` for the GPU that ``device`` names, or all GPUs if it names
                none.
            workers_per_gpu: Number of workers on each GPU. It also limits how many processes, of all runs on this
                machine with the same value, train or evaluate on a GPU at a time.
            cpu_workers: Number of workers on the CPU, each with the run's number of threads; ``None`` for as many as
                the cores allow.
            retries: Number of times an architecture is evaluated again, alone, after its worker died or hung.
            timeout: Time limit for one task of a worker, in seconds; ``None`` for no limit. A task has at most
                ``evaluator.at_once`` architectures.
            start_timeout: Time limit for the start of a worker, in seconds.

        Raises:
            UserError: If a GPU does not exist, or workers would disturb each other's measurements.
        """
        self._device = device
        self._devices = devices(device, gpus, workers_per_gpu, cpu_workers)
        self._replica = evaluator_replica
        self._workers_per_gpu = workers_per_gpu
        self._limits = Limits(retries, timeout, start_timeout)
        shared = cpu_workers != 1 if device == "cpu" else workers_per_gpu > 1
        if shared and any(isinstance(objective, Measurement) for objective in objectives):
            setting = "cpu_workers=1" if device == "cpu" else "workers_per_gpu=1"
            raise UserError(
                f"sec_obj=latency measures networks, which other workers on the same device disturb: "
                f"executor.{setting}, executor=serial or sec_obj=latency_table"
            )
        self._workers: Workers | None = None
        self._weights: Weights | None = None

    def map(self, work: Work, architectures: Sequence[Architecture]) -> Iterator[tuple[int, Evaluation]]:
        """Yield (index, evaluation) as workers finish them, one part of a group at a time."""
        if not architectures:
            return
        workers = self._ready()
        parts = split_up(work.evaluator.groups(architectures), PARTS_A_WORKER * len(self._devices))
        yield from workers.map(architectures, parts, work.split, self._handed(work))

    def device(self) -> AbstractContextManager[None]:
        """Hold one of the GPU's slots; workers hold their own slots while they evaluate."""
        return computing_slot(self._device, self._workers_per_gpu)

    def close(self) -> None:
        """End the workers."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None
        if self._weights is not None:
            self._weights.file.close()
            self._weights = None

    def _ready(self) -> Workers:
        if self._workers is None:
            threads = torch.get_num_threads()
            if self._device == "cpu" and len(self._devices) * threads > cores():
                log.warning("%d workers with %d threads each share %d cores", len(self._devices), threads, cores())
            self._workers = Workers(
                replica=self._replica,
                devices=self._devices,
                workers_per_gpu=self._workers_per_gpu,
                limits=self._limits,
            )
        return self._workers

    def _handed(self, work: Work) -> Weights | None:
        """Return the weights for the workers, in a file that is written again only after they changed."""
        if work.weights is None:
            return None
        if self._weights is None or self._weights.digest != work.weights:
            if self._weights is not None:
                self._weights.file.close()
            file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- open until the weights change
            checkpoint.write(file, work.evaluator.weights())
            self._weights = Weights(work.weights, file)
        return self._weights
