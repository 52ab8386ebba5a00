"""Where the evaluations of one run happen."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence

from nas.types import Architecture, Evaluation

Evaluate = Callable[[Architecture], Mapping[str, float]]


class Executor(ABC):
    """Evaluates architectures and survives those that fail."""

    @abstractmethod
    def map(self, evaluate: Evaluate, architectures: Sequence[Architecture]) -> Iterator[tuple[int, Evaluation]]:
        """Yield (index, evaluation) pairs as they finish, each index once.

        An exception in ``evaluate`` becomes an evaluation with its traceback; an interrupt is passed on.
        """
