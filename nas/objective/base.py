"""What is minimised beside the error: a name, a unit, and how a value is found."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nas.types import Floats, Genomes, Measure

if TYPE_CHECKING:  # algorithms see objectives, and never load torch
    from torch import nn

TOP1_ERROR = Measure("top1_error", "%")
"""The first objective of every search: 100 minus the top-1 accuracy on the validation split."""


class Objective(ABC):
    """Base class for objectives besides the error; all are minimized.

    Attributes:
        measure: Its name (a key of the run's metrics, for example ``"flops"``) and unit.

    Example:
        >>> class Told(Objective):
        ...     measure = Measure("energy", "mJ")
        >>> Told().measure.label
        'energy (mJ)'
    """

    measure: Measure

    def limits(self) -> tuple[float, float] | None:
        """Return the least and the largest value in the search space; ``None`` or not-a-number if they are unknown."""
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
        """Return the cost of each canonical genome, (n, d) -> (n,), in the measure's unit."""


def values(objectives: Sequence[Objective], genomes: Genomes, metrics: Sequence[Mapping[str, float]]) -> Floats:
    """Return the objectives of evaluated genomes, (n, d) -> (n, m), the error first.

    Args:
        objectives: Objectives besides the error.
        genomes: Canonical genomes, shape (n, d).
        metrics: Metrics of the evaluations, length n.
    """
    columns = [np.array([100 - found["top1"] for found in metrics], dtype=np.float64)]
    for objective in objectives:
        if isinstance(objective, Cost):
            columns.append(objective(genomes))
        else:
            columns.append(np.array([found[objective.measure.name] for found in metrics], dtype=np.float64))
    return np.column_stack(columns)


class Measurement(Objective):
    """Base class for objectives that are measured on each evaluated network and predicted for all others.

    Example:
        >>> class Layers(Measurement):
        ...     measure = Measure("layers", "")
        ...     def of(self, network, resolution):
        ...         return float(len(list(network.modules())))
    """

    @abstractmethod
    def of(self, network: "nn.Module", resolution: int) -> float:
        """Return the network's value in the measure's unit.

        Args:
            network: An extracted subnet in eval mode; it may be moved to another device.
            resolution: Side of its square input, pixels.
        """
