"""Base classes for evaluators of architectures."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nas.types import Architecture, Floats, Genomes


class Evaluator(ABC):
    """Measures networks.

    Attributes:
        runs_networks: whether it runs subnets on images, alone or in cascades.
    """

    runs_networks: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, architectures: Sequence[Architecture], split: str) -> Sequence[Mapping[str, float]]:
        """Return the metrics of each architecture by name; they do not depend on what is evaluated beside it.

        These are at least ``top1`` accuracy (percent), ``flops`` (millions of multiply-adds) and ``params``
        (millions); on images also ``top5`` accuracy (percent) and ``loss`` (nats).

        Args:
            architectures: of the evaluator's search space.
            split: ``"validation"`` during a search, ``"test"`` once after it.
        """

    def groups(self, architectures: Sequence[Architecture]) -> list[list[int]]:
        """Return which architectures, by index, share work and should be evaluated together: here each stands alone."""
        return [[index] for index in range(len(architectures))]

    def weights(self) -> Mapping[str, Any]:
        """Return the tensors by name that results follow from; they may change during a search."""
        return {}

    def load(self, weights: Mapping[str, Any]) -> None:  # noqa: B027
        """Evaluate with these weights from now on: what :meth:`weights` returned in the run's own process."""


class ArrayEvaluator(ABC):
    """Knows results without running a network: whole arrays at once, in this process, and no files between."""

    runs_networks: ClassVar[bool] = False

    @abstractmethod
    def measure(self, genomes: Genomes, split: str) -> Sequence[Mapping[str, float]]:
        """Return the metrics of canonical genomes, shape (n, d), by name, length n; names as in :class:`Evaluator`."""

    def errors(self, genomes: Genomes) -> Floats:
        """Return the top-1 errors of canonical genomes on the validation split, (n, d) -> (n,), percent."""
        return np.array([100 - metrics["top1"] for metrics in self.measure(genomes, "validation")], dtype=np.float64)
