"""Evaluation in persistent processes of this machine: one a GPU or more, or several on the CPU."""

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

PARTS_A_WORKER = 2  # at least, of a batch, so that no worker waits long for the last one


@final
class Process(Executor):
    """Workers build data set and supernet once, and are handed the supernet's weights whenever these have changed.

    Results are those of ``executor=serial``: each worker computes with as many threads as the run itself, because the
    last digits depend on their number. The weights are handed over in a file without a name, which nothing can leave
    behind: with 50 MB in 500 tensors, two workers have them after 0.14 s, after 0.21 s through pipes, and after 0.35 s
    in the shared memory of torch (``benchmarks/executor.txt``), which needs a file a tensor besides.
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
            device: where the run computes: workers are on GPUs, or on the CPU.
            evaluator_replica: builds the evaluator in a worker.
            objectives: of the search.
            gpus: of the workers, by number; ``None`` for the one that ``device`` names, or all where it names none.
            workers_per_gpu: workers on each GPU. So many processes, of all runs on this machine that say the same,
                train or evaluate on a GPU at a time.
            cpu_workers: workers on the CPU; ``None`` divides the cores among workers with the run's threads each.
            retries: how often an architecture is evaluated again, alone, after its worker died or hung.
            timeout: seconds for what a worker evaluates at a time, ``evaluator.at_once`` architectures at most;
                ``None`` for no limit.
            start_timeout: seconds for a worker's start.

        Raises:
            UserError: if a GPU is not there, or workers would disturb each other's measurements.
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
        """Yield (index, evaluation) as workers finish them, a part of a group at a time."""
        if not architectures:
            return
        workers = self._ready()
        parts = split_up(work.evaluator.groups(architectures), PARTS_A_WORKER * len(self._devices))
        yield from workers.map(architectures, parts, work.split, self._handed(work))

    def device(self) -> AbstractContextManager[None]:
        """Hold one of the GPU's slots; workers hold theirs while they evaluate."""
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
        """Return the weights that workers need, in a file that is written when they have changed."""
        if work.weights is None:
            return None
        if self._weights is None or self._weights.digest != work.weights:
            if self._weights is not None:
                self._weights.file.close()
            file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- open until the weights change
            checkpoint.write(file, work.evaluator.weights())
            self._weights = Weights(work.weights, file)
        return self._weights
