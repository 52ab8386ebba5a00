"""What an architecture is worth."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from nas.types import Architecture, Genomes


class Evaluator(ABC):
    """Measures one architecture."""

    @abstractmethod
    def __call__(self, architecture: Architecture, split: str) -> Mapping[str, float]:
        """Return metrics by name.

        These are at least ``top1`` accuracy (percent), ``flops`` (millions of multiply-adds) and ``params``
        (millions); on images also ``top5`` accuracy (percent) and ``loss`` (nats).

        Args:
            architecture: one of the evaluator's search space.
            split: ``"validation"`` during a search, ``"test"`` once after it.
        """


class ArrayEvaluator(ABC):
    """Knows results without running a network: whole arrays at once, in this process, and no files between."""

    @abstractmethod
    def measure(self, genomes: Genomes, split: str) -> Sequence[Mapping[str, float]]:
        """Return the metrics of canonical genomes, shape (n, d), by name, length n; names as in :class:`Evaluator`."""
