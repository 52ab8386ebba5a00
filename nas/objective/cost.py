"""Costs that are read off exact tables: multiply-adds and parameters."""

from collections.abc import Mapping
from typing import Literal, final

import numpy as np

from nas.objective.base import Cost, Objective
from nas.space.joint import EACH_MACS, MemberTables
from nas.space.table import AdditiveTable
from nas.types import Floats, Genomes, Measure

_TABLES = {
    "flops": ("macs", Measure("flops", "M multiply-adds")),
    "params": ("params", Measure("params", "M")),
}


@final
class TableCost(Cost):
    """A cost in millions, summed from a supernet's table by one gather for a whole population.

    Attributes:
        exact: whether the search space has a table of it. What cascades cost has to be measured.
    """

    def __init__(self, *, cost: Literal["flops", "params"], tables: Mapping[str, AdditiveTable]) -> None:
        """Choose the table.

        Args:
            cost: ``"flops"``: multiply-adds of convolutions and linear layers for one image, which is what the
                papers publish as FLOPs; ``"params"``: weights and biases.
            tables: the supernet's, see :meth:`nas.supernet.base.Supernet.costs`; without a table the cost is not
                ``exact``, and must not be asked.
        """
        table, self.measure = _TABLES[cost]
        self.exact = table in tables
        self._table = tables.get(table)
        self._each = tables.get(EACH_MACS) if cost == "flops" else None

    def limits(self) -> tuple[float, float] | None:
        """Return the least and the largest cost in millions.

        A cascade's images ask at least the cheapest network of one supernet, and at most the dearest one of each.
        """
        if self._table is not None:
            least, most = self._table.extremes()
        elif isinstance(self._each, MemberTables):
            least, most = min(least for least, _ in self._each.each_extremes()), self._each.extremes()[1]
        else:
            return None
        return least / 1e6, most / 1e6

    def __call__(self, genomes: Genomes) -> Floats:
        """Return the cost of each genome in millions, (n, d) -> (n,)."""
        assert self._table is not None, "there is no table"
        millions: Floats = self._table(genomes).astype(np.float64) / 1e6
        return millions


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
