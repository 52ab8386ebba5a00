"""Base classes for architecture evaluators."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nas.types import Architecture, Floats, Genomes


class Evaluator(ABC):
    """Base class for evaluators that measure architectures.

    Attributes:
        runs_networks: Whether the evaluator runs networks on images, alone or in cascades.

    Example:
        >>> from nas.evaluator.base import Evaluator
        >>> class Constant(Evaluator):
        ...     def __call__(self, architectures, split):
        ...         return [{"top1": 50.0, "flops": 1.0, "params": 0.1} for _ in architectures]
        >>> Constant().groups(["first", "second"])
        [[0], [1]]
    """

    runs_networks: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, architectures: Sequence[Architecture], split: str) -> Sequence[Mapping[str, float]]:
        """Return the metrics of each architecture by name.

        The metrics include at least ``top1`` accuracy (percent), ``flops`` (millions of multiply-adds) and ``params``
        (millions). Evaluators that use images also return ``top5`` accuracy (percent) and ``loss`` (nats). The metrics
        of an architecture do not depend on the other architectures in the call.

        Args:
            architectures: Architectures of the evaluator's search space.
            split: Split to evaluate on: ``"validation"`` during a search, ``"test"`` once after it.
        """

    def groups(self, architectures: Sequence[Architecture]) -> list[list[int]]:
        """Return groups of architectures, by index, that share work and should be evaluated together.

        The default puts each architecture in a group of its own.
        """
        return [[index] for index in range(len(architectures))]

    def weights(self) -> Mapping[str, Any]:
        """Return the tensors by name that determine the results.

        They may change during a search.
        """
        return {}

    def load(self, weights: Mapping[str, Any]) -> None:  # noqa: B027
        """Use these weights in all later evaluations.

        Args:
            weights: Tensors by name, as :meth:`weights` returned them in the run's own process.
        """


class ArrayEvaluator(ABC):
    """Base class for evaluators that know results without running a network.

    They evaluate whole arrays at once in the run's own process and write no files.

    Attributes:
        runs_networks: Whether the evaluator runs networks on images; always false.

    Example:
        >>> import numpy as np
        >>> from nas.evaluator.base import ArrayEvaluator
        >>> class Sum(ArrayEvaluator):
        ...     def measure(self, genomes, split):
        ...         return [{"top1": float(genome.sum())} for genome in genomes]
        >>> Sum().errors(np.array([[1, 2], [30, 40]])).tolist()
        [97.0, 30.0]
    """

    runs_networks: ClassVar[bool] = False

    @abstractmethod
    def measure(self, genomes: Genomes, split: str) -> Sequence[Mapping[str, float]]:
        """Return the metrics of canonical genomes by name.

        Args:
            genomes: Canonical genomes, shape (n, d).
            split: Split to evaluate on: ``"validation"`` or ``"test"``.

        Returns:
            Metrics of each genome, length n, with the names of :meth:`Evaluator.__call__`.
        """

    def errors(self, genomes: Genomes) -> Floats:
        """Return the top-1 errors of canonical genomes on the validation split, (n, d) -> (n,), percent."""
        return np.array([100 - metrics["top1"] for metrics in self.measure(genomes, "validation")], dtype=np.float64)
