"""Base classes for the objectives that are minimized besides the error."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nas.types import Floats, Genomes, Measure

if TYPE_CHECKING:  # keeps torch unloaded in algorithms, which import this module
    from torch import nn

TOP1_ERROR = Measure("top1_error", "%")
"""The first objective of every search: 100 minus the top-1 accuracy on the validation split."""


class Objective(ABC):
    """Base class for objectives besides the error; all are minimized.

    Attributes:
        measure: Name and unit of the objective. The name is a key of the run's metrics, for example ``"flops"``.

    Example:
        >>> class Told(Objective):
        ...     measure = Measure("energy", "mJ")
        >>> Told().measure.label
        'energy (mJ)'
    """

    measure: Measure

    def limits(self) -> tuple[float, float] | None:
        """Return the smallest and largest value in the search space; ``None`` or not-a-number if unknown."""
        return None


class Cost(Objective):
    """Base class for objectives that are known without evaluating the network.

    Example:
        >>> class Depth(Cost):
        ...     measure = Measure("depth", "layers")
        ...     def __call__(self, genomes):
        ...         return genomes[:, 0] + 1.0
        >>> Depth()(np.array([[2, 5], [0, 1]]))
        array([3., 1.])
    """

    @abstractmethod
    def __call__(self, genomes: Genomes) -> Floats:
        """Return the costs of canonical genomes, (n, d) -> (n,), in the unit of ``measure``."""


def values(objectives: Sequence[Objective], genomes: Genomes, metrics: Sequence[Mapping[str, float]]) -> Floats:
    """Return the objectives of evaluated genomes, (n, d) -> (n, m), the error first.

    Args:
        objectives: Objectives besides the error.
        genomes: Canonical genomes, shape (n, d).
        metrics: Metrics of the evaluations, length n; each has ``"top1"``, the accuracy in percent, and the measured
            objectives.

    Example:
        >>> values([], np.array([[0], [1]]), [{"top1": 75.0}, {"top1": 80.0}]).tolist()
        [[25.0], [20.0]]
    """
    columns = [np.array([100 - found["top1"] for found in metrics], dtype=np.float64)]
    for objective in objectives:
        if isinstance(objective, Cost):
            columns.append(objective(genomes))
        else:
            columns.append(np.array([found[objective.measure.name] for found in metrics], dtype=np.float64))
    return np.column_stack(columns)


class Measurement(Objective):
    """Base class for objectives that are measured on evaluated networks and predicted for all other genomes.

    Example:
        >>> class Layers(Measurement):
        ...     measure = Measure("layers", "")
        ...     def of(self, network, resolution):
        ...         return float(len(list(network.modules())))
        >>> from torch import nn
        >>> Layers().of(nn.Sequential(nn.Flatten(), nn.Linear(48, 10)), resolution=4)
        3.0
    """

    @abstractmethod
    def of(self, network: "nn.Module", resolution: int) -> float:
        """Return the measured value of a network in the unit of ``measure``.

        Args:
            network: Extracted subnet in eval mode; the method may move it to another device.
            resolution: Input resolution (side of the square image) in pixels.
        """
