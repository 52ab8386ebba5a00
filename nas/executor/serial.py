"""Sequential evaluation in the run's own process."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import final

from nas.executor.base import Executor, Work, evaluated
from nas.executor.gpu_slots import computing_slot
from nas.types import Architecture, Evaluation, PositiveInt


@final
class Serial(Executor):
    """Executor that evaluates groups of architectures one after the other in the run's own process.

    Example:
        >>> from nas.evaluator.base import Evaluator
        >>> from nas.executor.base import Work
        >>> from nas.executor.serial import Serial
        >>> class Inverse(Evaluator):
        ...     def __call__(self, architectures, split):
        ...         return [{"top1": 100 / number} for number in architectures]
        >>> results = Serial(device="cpu").map(Work(Inverse(), "validation", weights=None), [1, 0])
        >>> [(index, evaluation.ok) for index, evaluation in results]
        [(0, True), (1, False)]
    """

    elsewhere = False

    def __init__(self, *, device: str, workers_per_gpu: PositiveInt | None = None) -> None:
        """Set how runs share a GPU.

        Args:
            device: Torch device of the run.
            workers_per_gpu: Maximum number of runs that train or evaluate on the GPU of ``device`` at a time; ``None``
                for no limit. Other runs wait, or search meanwhile.
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
