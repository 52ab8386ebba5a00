"""Costs of cascades, which depend on how far images get."""

from typing import final

from nas.objective.base import Objective
from nas.objective.cost import TableCost
from nas.types import Measure


@final
class Expected(Objective):
    """The average cost of an image: evaluations measure it, and surrogates predict it for all other genomes."""

    def __init__(self, measure: Measure, limits: tuple[float, float] | None) -> None:
        """Name it as the metric of evaluations is named; ``limits`` as in the base class."""
        self.measure = measure
        self._limits = limits

    def limits(self) -> tuple[float, float] | None:
        """Return the least and the largest average cost."""
        return self._limits


def expected(objective: Objective) -> Objective:
    """Return what evaluations measure in place of a cost that the search space has no table of; else the objective."""
    if isinstance(objective, TableCost) and not objective.exact:
        return Expected(objective.measure, objective.limits())
    return objective
