"""Where the evaluations of one run happen."""

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

from nas.types import Architecture, Evaluation

Evaluate = Callable[[Sequence[Architecture]], Sequence[Mapping[str, float]]]


class Executor(ABC):
    """Evaluates architectures and survives those that fail."""

    @abstractmethod
    def map(
        self, evaluate: Evaluate, groups: Sequence[Sequence[Architecture]]
    ) -> Iterator[tuple[int, Sequence[Evaluation]]]:
        """Yield (index, evaluations) of groups as they finish, each index once.

        An exception in ``evaluate`` becomes an evaluation with its traceback; an interrupt is passed on.
        """

    @abstractmethod
    def device(self) -> AbstractContextManager[None]:
        """Return what keeps the run's accelerator to this run while it trains or evaluates."""


def evaluated(evaluate: Evaluate, group: Sequence[Architecture]) -> list[Evaluation]:
    """Evaluate a group; where that fails, one architecture after the other, to find out whose fault it is."""
    try:
        return [Evaluation(metrics) for metrics in evaluate(group)]
    except Exception:  # whatever went wrong is the architecture's result
        if len(group) == 1:
            return [Evaluation({}, error=traceback.format_exc())]
    return [evaluation for architecture in group for evaluation in evaluated(evaluate, [architecture])]
