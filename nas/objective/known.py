"""Objectives from the user: a function of the genomes, or values that are given with each evaluation."""

from collections.abc import Callable
from typing import final

import numpy as np

from nas.errors import UserError
from nas.objective.base import Cost, Objective
from nas.types import Floats, Genomes, Measure


@final
class KnownCost(Cost):
    """Cost that a function computes from the genomes; it is never predicted.

    Example:
        >>> cost = KnownCost("depth", lambda genomes: genomes[:, 0], unit="layers")
        >>> cost(np.array([[3, 1], [5, 2]]))
        array([3., 5.])
    """

    def __init__(
        self,
        name: str,
        function: Callable[[Genomes], Floats],
        unit: str = "",
        limits: tuple[float, float] | None = None,
    ) -> None:
        """Name the cost.

        Args:
            name: Name of the cost in tables and files, for example ``"energy"``.
            function: Function that maps canonical genomes, shape (n, d), to their costs, shape (n,); smaller is better.
            unit: Unit of the costs, for example ``"mJ"``.
            limits: Smallest and largest value in the search space, which make hypervolumes of runs comparable; None
                if unknown.
        """
        self._limits = limits
        self.measure = Measure(name, unit)
        self._function = function

    def limits(self) -> tuple[float, float] | None:
        """Return the smallest and the largest value in the search space."""
        return self._limits

    def __call__(self, genomes: Genomes) -> Floats:
        """Return the cost of each genome, (n, d) -> (n,); UserError if the function's result has another shape."""
        found = np.asarray(self._function(genomes), dtype=np.float64)
        if found.shape != (len(genomes),):
            raise UserError(
                f"the function of cost '{self.measure.name}' returned shape {found.shape} for {len(genomes)} genomes; "
                f"it must return ({len(genomes)},)"
            )
        return found


@final
class ToldCost(Objective):
    """Objective with values given by the user together with the error, predicted by the surrogate elsewhere.

    Example:
        >>> ToldCost("latency", unit="ms").measure
        Measure(name='latency', unit='ms')
    """

    def __init__(self, name: str, unit: str = "") -> None:
        """Name the objective.

        Args:
            name: Name of the objective, for example ``"latency"``.
            unit: Unit of its values, for example ``"ms"``; smaller is better.
        """
        self.measure = Measure(name, unit)
