"""Pool of persistent worker processes that survives crashes and hangs of its workers.

It is built on multiprocessing's connections because no library has the required features. concurrent.futures and loky
give up the whole pool when a worker dies. pebble and billiard replace workers and have timeouts, but their workers are
interchangeable; here each worker belongs to a device, receives new weights when they changed, and shares a GPU's slots
with other runs. None of these libraries ends its workers when the parent is killed, or reports where a worker crashed
or hung.
"""

import logging
import math
import os
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import IO, final

from nas.errors import RunError, UserError
from nas.executor.base import EvaluatorReplica
from nas.executor.worker import BEGAN, DONE, FAILED, READY, Handle
from nas.types import Architecture, Evaluation

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two checks of workers that send nothing


@dataclass(frozen=True)
class Limits:
    """Retries and timeouts of workers.

    Attributes:
        retries: Number of times an architecture is evaluated again, alone, after its worker died or hung.
        timeout: Time limit for one task of a worker, in seconds; ``None`` for no limit.
        start_timeout: Time limit for the start of a worker, in seconds.
    """

    retries: int
    timeout: float | None
    start_timeout: float


@dataclass(frozen=True)
class Weights:
    """Weights to evaluate with.

    Attributes:
        digest: Digest of the weights.
        file: Open file with the weights, written by ``checkpoint.write``.
    """

    digest: str
    file: IO[bytes]


@final
class Workers:
    """Pool of workers, one for each entry of ``devices``; each starts when it is first needed."""

    def __init__(
        self,
        *,
        replica: EvaluatorReplica,
        devices: Sequence[str],
        workers_per_gpu: int | None,
        limits: Limits,
    ) -> None:
        """Describe the workers.

        Args:
            replica: Function that builds the evaluator in a worker.
            devices: Torch device of each worker.
            workers_per_gpu: Number of slots of a GPU; a worker holds one while it evaluates. ``None`` holds nothing.
            limits: Retries and timeouts of workers.
        """
        self._replica = replica
        self._devices = devices
        self._workers_per_gpu = workers_per_gpu
        self._limits = limits
        self._workers: dict[int, Handle] = {}
        self._starts: Counter[int] = Counter()  # by place, since a worker was last ready there
        self._attempts: Counter[int] = Counter()  # by architecture
        self._pending: deque[list[int]] = deque()

    def map(
        self,
        architectures: Sequence[Architecture],
        parts: Sequence[list[int]],
        split: str,
        weights: Weights | None,
    ) -> Iterator[tuple[int, Evaluation]]:
        """Yield (index, evaluation) of architectures as they finish.

        Args:
            architectures: Architectures to evaluate.
            parts: Indices of the architectures that one worker evaluates together, in the order of their start.
            split: Split to evaluate on: ``"validation"`` or ``"test"``.
            weights: Weights of the evaluators; ``None`` keeps those they were built with.

        Raises:
            RunError: If a worker cannot be started.
        """
        self._pending = deque(list(part) for part in parts)
        self._attempts.clear()
        left = sum(len(part) for part in parts)
        try:
            while left:
                self._start(left)
                self._assign(architectures, split, weights)
                found = [result for worker in self._noticed() for result in self._results(worker)]
                self._assign(architectures, split, weights)  # before the caller spends time on the results
                left -= len(found)
                yield from found
        finally:  # the caller needs no more results
            for worker in [worker for worker in self._workers.values() if worker.part is not None]:
                self._remove(worker).kill()

    def close(self) -> None:
        """End all workers."""
        for worker in list(self._workers.values()):
            self._remove(worker).close()

    def _start(self, n: int) -> None:
        """Start missing workers, at most as many as there are architectures left."""
        for slot, device in enumerate(self._devices[:n]):
            if slot not in self._workers:
                self._starts[slot] += 1
                self._workers[slot] = Handle(
                    slot,
                    self._replica,
                    device,
                    self._workers_per_gpu,
                    self._limits.start_timeout,
                )

    def _remove(self, worker: Handle) -> Handle:
        return self._workers.pop(worker.slot)

    def _assign(self, architectures: Sequence[Architecture], split: str, weights: Weights | None) -> None:
        """Give idle workers a part of the architectures, and the weights if they changed."""
        for worker in [worker for worker in self._workers.values() if worker.idle]:
            if not self._pending:
                return
            part = self._pending.popleft()
            try:
                if weights is not None and worker.digest != weights.digest:
                    worker.load(weights.digest, weights.file)
                worker.evaluate(split, part, [architectures[index] for index in part])
            except OSError:  # it died while idle, which the next check notices
                self._pending.appendleft(part)
                continue
            if not self._may_wait(worker) and self._limits.timeout is not None:
                worker.deadline = time.monotonic() + self._limits.timeout

    def _may_wait(self, worker: Handle) -> bool:
        """Return whether a worker may have to wait for a GPU slot, for an unlimited time, before it begins."""
        return self._workers_per_gpu is not None and self._devices[worker.slot].startswith("cuda")

    def _noticed(self) -> list[Handle]:
        """Wait for an event; return the workers with a message, a passed deadline or an ended process."""
        now = time.monotonic()
        deadlines = [worker.deadline for worker in self._workers.values() if worker.deadline is not None]
        patience = max(0.0, min([LOOK_SECONDS, *(deadline - now for deadline in deadlines)]))
        workers = list(self._workers.values())
        ready = wait([thing for worker in workers for thing in (worker.connection, worker.sentinel)], patience)
        now = time.monotonic()
        return [w for w in workers if w.connection in ready or w.overdue(now) or w.dead]

    def _results(self, worker: Handle) -> list[tuple[int, Evaluation]]:
        """Process a worker's messages, its death or its timeout; return the evaluations that this completes."""
        while worker.connection.poll():
            message = worker.receive()
            if message is None:
                return self._died(worker)
            kind, content = message
            if kind == READY:
                worker.ready, worker.deadline = True, None
                self._starts[worker.slot] = 0
            elif kind == FAILED:
                self._remove(worker).kill()
                raise RunError(f"a worker cannot go on: {content.strip().splitlines()[-1]}")
            elif kind == BEGAN and self._limits.timeout is not None:
                worker.deadline = time.monotonic() + self._limits.timeout
            elif kind == DONE:
                part, worker.part, worker.deadline = worker.part or [], None, None
                return list(zip(part, content, strict=True))
        if worker.dead:
            return self._died(worker)
        if worker.overdue(time.monotonic()):
            worker.abort()
            return self._died(worker, "it took longer than {timeout:g} seconds")
        return []

    def _died(self, worker: Handle, reason: str | None = None) -> list[tuple[int, Evaluation]]:
        """Remove a dead worker and put its architectures back into the queue.

        Returns:
            The failed evaluation if the worker's only architecture has no retries left; otherwise an empty list.
        """
        part, was_ready = worker.part, worker.ready
        how, stack = self._remove(worker).bury()
        timeout = self._limits.timeout if was_ready else self._limits.start_timeout
        how = how if reason is None else reason.format(timeout=timeout)
        if not was_ready and self._starts[worker.slot] > self._limits.retries:
            raise RunError(f"a worker died {self._starts[worker.slot]} times before it was ready: {how}")
        log.warning("a worker died and is replaced: %s", how)
        if part is None:
            return []
        if len(part) > 1:  # one of them may have killed the worker
            self._pending.extendleft([index] for index in reversed(part))
            return []
        (index,) = part
        self._attempts[index] += 1
        if self._attempts[index] <= self._limits.retries:
            self._pending.appendleft(part)
            return []
        n = self._attempts[index]
        times = "once" if n == 1 else f"{n} times"
        return [(index, Evaluation({}, error=f"{stack}\nWorkerDied: a worker died of this {times}; the last: {how}"))]


def devices(device: str, gpus: Sequence[int] | None, workers_per_gpu: int, cpu_workers: int | None) -> tuple[str, ...]:
    """Return the torch device of each worker.

    Args:
        device: Torch device of the run.
        gpus: Indices of the GPUs for workers; ``None`` for the GPU that ``device`` names, or all GPUs if it names none.
        workers_per_gpu: Number of workers on each GPU.
        cpu_workers: Number of workers on the CPU; ``None`` for as many as the cores allow.

    Raises:
        UserError: If a GPU does not exist, or ``gpus`` is empty or set for a run on the CPU.

    Example:
        >>> from nas.executor.workers import devices
        >>> devices("cpu", gpus=None, workers_per_gpu=1, cpu_workers=2)
        ('cpu', 'cpu')
    """
    import torch

    if device == "cpu":
        if gpus is not None:
            raise UserError("executor.gpus needs device=cuda; this run computes on the CPU")
        return ("cpu",) * (cpu_workers or max(1, cores() // torch.get_num_threads()))
    found = torch.cuda.device_count()
    if gpus is None:
        gpus = [int(device.partition(":")[2])] if ":" in device else range(found)
    if not gpus:
        raise UserError("executor.gpus is empty: give the numbers of GPUs, or null for those of the run")
    for index in gpus:
        if index >= found:
            raise UserError(f"executor.gpus={list(gpus)}: there is no GPU {index}; {found} found, numbered from 0")
    return tuple(f"cuda:{index}" for _ in range(workers_per_gpu) for index in gpus)


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def split_up(groups: Sequence[Sequence[int]], n: int) -> list[list[int]]:
    """Split groups into at least ``n`` parts if they have enough members, and return the last groups first.

    Evaluators order groups by resolution. The last groups take longest and therefore start first.

    Args:
        groups: Groups of indices.
        n: Minimum number of parts.

    Example:
        >>> from nas.executor.workers import split_up
        >>> split_up([[0, 1, 2], [3, 4]], 3)
        [[3, 4], [2], [0, 1]]
    """
    most = max(1, math.ceil(sum(map(len, groups)) / n))
    parts = [list(group[at : at + most]) for group in groups for at in range(0, len(group), most)]
    return parts[::-1]
