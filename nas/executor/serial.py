"""Evaluation one after the other, in the run's own process."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import final

from nas.executor.base import Executor, Work, evaluated
from nas.executor.gpu_slots import computing_slot
from nas.types import Architecture, Evaluation, PositiveInt


@final
class Serial(Executor):
    """Evaluates in the order in which the evaluator groups architectures."""

    elsewhere = False

    def __init__(self, *, device: str, workers_per_gpu: PositiveInt | None = None) -> None:
        """Set how a GPU is shared.

        Args:
            device: where the run computes.
            workers_per_gpu: how many runs may train or evaluate on the GPU of ``device`` at a time; the others wait,
                or search meanwhile. ``None`` lets all go on.
        """
        self._device = device
        self._workers_per_gpu = workers_per_gpu

    def map(self, work: Work, architectures: Sequence[Architecture]) -> Iterator[tuple[int, Evaluation]]:
        """Yield (index, evaluation), group by group."""
        with self.device():
            for group in work.evaluator.groups(architectures):
                found = evaluated(work.evaluator, work.split, [architectures[index] for index in group])
                yield from zip(group, found, strict=True)

    def device(self) -> AbstractContextManager[None]:
        """Hold one of the GPU's slots."""
        return computing_slot(self._device, self._workers_per_gpu)
