"""Base class for executors, which run the evaluations of a run."""

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from nas.evaluator.base import Evaluator
from nas.types import Architecture, Evaluation

EvaluatorReplica = Callable[[str], Evaluator]
"""Function that builds a copy of the run's evaluator for a device. It is sent to other processes and machines."""


@dataclass(frozen=True)
class Work:
    """Evaluator, split and weights of a batch of evaluations.

    Attributes:
        evaluator: Evaluator of the run's own process.
        split: Split to evaluate on: ``"validation"`` or ``"test"``.
        weights: Digest of the evaluator's current weights; ``None`` if it has no weights.
    """

    evaluator: Evaluator
    split: str
    weights: str | None


class Executor(ABC):
    """Base class for executors, which evaluate architectures and survive failed evaluations.

    Attributes:
        elsewhere: Whether evaluations run in other processes than the run's own.

    Example:
        >>> from contextlib import nullcontext
        >>> from nas.executor.base import Executor
        >>> class InOrder(Executor):
        ...     elsewhere = False
        ...     def map(self, work, architectures):
        ...         yield from enumerate(evaluated(work.evaluator, work.split, architectures))
        ...     def device(self):
        ...         return nullcontext()
        >>> InOrder().elsewhere
        False
    """

    elsewhere: bool

    @abstractmethod
    def map(self, work: Work, architectures: Sequence[Architecture]) -> Iterator[tuple[int, Evaluation]]:
        """Yield (index, evaluation) of architectures as they finish, each index once.

        An exception in an evaluation becomes its result, with the traceback. An interrupt is passed on. The process
        that evaluates holds one of the accelerator's slots during the evaluation.

        Args:
            work: Evaluator, split and weights of the batch.
            architectures: Architectures to evaluate.
        """

    @abstractmethod
    def device(self) -> AbstractContextManager[None]:
        """Return a context that reserves the run's accelerator while the run's own process computes.

        It must not be entered during a call of :meth:`map`.
        """

    def close(self) -> None:  # noqa: B027
        """End other processes; the executor can be used again afterwards."""


def evaluated(evaluator: Evaluator, split: str, group: Sequence[Architecture]) -> list[Evaluation]:
    """Evaluate a group of architectures and turn exceptions into failed evaluations.

    If the group fails, each architecture is evaluated alone to find the one that fails.

    Args:
        evaluator: Evaluator to call.
        split: Split to evaluate on.
        group: Architectures to evaluate together.

    Returns:
        One evaluation per architecture, in the order of the group.

    Example:
        >>> from nas.evaluator.base import Evaluator
        >>> from nas.executor.base import evaluated
        >>> class Inverse(Evaluator):
        ...     def __call__(self, architectures, split):
        ...         return [{"top1": 100 / number} for number in architectures]
        >>> [evaluation.ok for evaluation in evaluated(Inverse(), "validation", [1, 0, 2])]
        [True, False, True]
    """
    try:
        return [Evaluation(metrics) for metrics in evaluator(group, split)]
    except Exception:  # any exception becomes the architecture's result
        if len(group) == 1:
            return [Evaluation({}, error=traceback.format_exc())]
    return [evaluation for architecture in group for evaluation in evaluated(evaluator, split, [architecture])]
