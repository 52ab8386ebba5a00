"""Costs that are read off exact tables: multiply-adds and parameters."""

from collections.abc import Mapping
from typing import Literal, final

import numpy as np

from nas.objective.base import Cost
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

    def __call__(self, genomes: Genomes) -> Floats:
        """Return the cost of each genome in millions, (n, d) -> (n,)."""
        assert self._table is not None, "there is no table"
        millions: Floats = self._table(genomes).astype(np.float64) / 1e6
        return millions
