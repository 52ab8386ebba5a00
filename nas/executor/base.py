"""Where the evaluations of one run happen."""

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from nas.evaluator.base import Evaluator
from nas.types import Architecture, Evaluation

EvaluatorReplica = Callable[[str], Evaluator]
"""Builds the run's evaluator anew, for a device; it is sent to other processes and other machines."""


@dataclass(frozen=True)
class Work:
    """What is asked of architectures.

    Attributes:
        evaluator: of the run's own process.
        split: of the data, ``"validation"`` or ``"test"``.
        weights: digest of the evaluator's weights as they are; ``None`` where it has none.
    """

    evaluator: Evaluator
    split: str
    weights: str | None


class Executor(ABC):
    """Evaluates architectures and survives those that fail.

    Attributes:
        elsewhere: whether evaluations happen in other processes than the run's own.
    """

    elsewhere: bool

    @abstractmethod
    def map(self, work: Work, architectures: Sequence[Architecture]) -> Iterator[tuple[int, Evaluation]]:
        """Yield (index, evaluation) of architectures as they finish, each index once.

        What goes wrong in an evaluation becomes its result, with the traceback; an interrupt is passed on. While
        something is evaluated, the accelerator's slots are held by whoever evaluates it.
        """

    @abstractmethod
    def device(self) -> AbstractContextManager[None]:
        """Return what keeps the run's accelerator to the run's own process while that computes; not beside a map."""

    def close(self) -> None:  # noqa: B027
        """Let go of other processes; the executor can be used again."""


def evaluated(evaluator: Evaluator, split: str, group: Sequence[Architecture]) -> list[Evaluation]:
    """Evaluate a group; where that fails, one architecture after the other, to find out whose fault it is."""
    try:
        return [Evaluation(metrics) for metrics in evaluator(group, split)]
    except Exception:  # whatever went wrong is the architecture's result
        if len(group) == 1:
            return [Evaluation({}, error=traceback.format_exc())]
    return [evaluation for architecture in group for evaluation in evaluated(evaluator, split, [architecture])]
