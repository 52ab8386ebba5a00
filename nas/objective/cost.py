"""Costs that are read off exact tables: multiply-adds and parameters."""

from collections.abc import Mapping, Sequence
from typing import Literal, final

import numpy as np

from nas.errors import UserError, unknown
from nas.objective.base import TOP1_ERROR, Cost, Objective
from nas.space.constrained import Bound
from nas.space.joint import EACH_MACS, MemberTables
from nas.space.table import CostTable
from nas.types import MILLION, Floats, Genomes, Measure

_TABLES = {
    "flops": ("macs", Measure("flops", "M multiply-adds")),
    "params": ("params", Measure("params", "M")),
}


@final
class TableCost(Cost):
    """A cost in millions, summed from a supernet's table by one gather for a whole population.

    Attributes:
        exact: Whether the search space has a table of it. What cascades cost has to be measured.
    """

    def __init__(self, *, cost: Literal["flops", "params"], tables: Mapping[str, CostTable]) -> None:
        """Choose the table.

        Args:
            cost: ``"flops"``: multiply-adds of convolutions and linear layers for one image, which is what the
                papers publish as FLOPs; ``"params"``: weights and biases.
            tables: The supernet's, see :meth:`nas.supernet.base.Supernet.costs`; without a table the cost is not
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
        return least / MILLION, most / MILLION

    def __call__(self, genomes: Genomes) -> Floats:
        """Return the cost of each genome in millions, (n, d) -> (n,)."""
        assert self._table is not None, "there is no table"
        millions: Floats = self._table(genomes).astype(np.float64) / MILLION
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


def bounds(
    constraints: Mapping[str, Mapping[Literal["min", "max"], float | None]],
    objectives: Sequence[Objective],
    tables: Mapping[str, CostTable],
) -> list[Bound]:
    """Return the limits of exact costs that constraints say.

    Args:
        constraints: ``min`` and ``max``, or ``None``, by the name of a cost.
        objectives: Objectives of the run; their costs may be constrained.
        tables: Cost tables of the supernet; FLOPs and parameters may be constrained in any run.

    Raises:
        UserError: If a constraint is on no exact cost, or its limits contradict each other.
    """
    costs = {name: TableCost(cost=name, tables=tables) for name in ("flops", "params")}
    measured = {TOP1_ERROR.name, "latency", *(o.measure.name for o in objectives if not isinstance(o, Cost))}
    known: dict[str, Cost] = {name: cost for name, cost in costs.items() if cost.exact}
    known |= {o.measure.name: o for o in objectives if isinstance(o, Cost)}
    found = []
    for name, limits in constraints.items():
        least, most = limits.get("min"), limits.get("max")
        if least is None and most is None:
            continue
        if name in costs and name not in known:
            raise UserError(f"constraints.{name} bounds exact costs; those of cascades depend on what networks answer")
        if name in measured:
            raise UserError(
                f"constraints.{name}: {name} is measured, and only costs that are known before an architecture is "
                f"evaluated can be bounded ({', '.join(known)}); leave the bound out, and choose among the results: "
                "task=select"
            )
        if name not in known and name != "latency_table":
            raise unknown("key", f"constraints.{name}", [f"constraints.{each}" for each in (*known, "latency_table")])
        if name not in known:
            raise UserError(f"constraints.{name} needs sec_obj={name}, which says where its values come from")
        if least is not None and most is not None and least > most:
            raise UserError(f"constraints.{name}.min={least:g} is more than constraints.{name}.max={most:g}")
        found.append(Bound(name, known[name], least, most))
    return found
