"""Objectives from exact cost tables: multiply-adds and parameters."""

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
    """FLOPs or parameters in millions, looked up in an exact cost table for a whole population at once.

    Attributes:
        exact: Whether the search space has a table of this cost. The FLOPs of cascades have none and must be measured.

    Example:
        >>> from nas.space.table import AdditiveTable
        >>> macs = AdditiveTable(2, [([0], np.array([2_000_000, 5_000_000])), ([1], np.array([0, 500_000]))])
        >>> flops = TableCost(cost="flops", tables={"macs": macs})
        >>> flops(np.array([[0, 0], [1, 1]]))
        array([2. , 5.5])
        >>> flops.limits()
        (2.0, 5.5)
    """

    def __init__(self, *, cost: Literal["flops", "params"], tables: Mapping[str, CostTable]) -> None:
        """Choose the table.

        Args:
            cost: Cost in millions: ``"flops"`` for multiply-adds of convolutions and linear layers for one image (the
                FLOPs of the papers), ``"params"`` for weights and biases.
            tables: Cost tables of the supernet, see :meth:`nas.supernet.base.Supernet.costs`. Without a table of this
                cost, ``exact`` is False and the objective must not be called.
        """
        table, self.measure = _TABLES[cost]
        self.exact = table in tables
        self._table = tables.get(table)
        self._each = tables.get(EACH_MACS) if cost == "flops" else None

    def limits(self) -> tuple[float, float] | None:
        """Return the smallest and largest cost in millions; ``None`` if unknown.

        The cheapest cascade runs only the cheapest network of one supernet. The most expensive one runs the most
        expensive network of each supernet.
        """
        if self._table is not None:
            least, most = self._table.extremes()
        elif isinstance(self._each, MemberTables):
            least, most = min(least for least, _ in self._each.each_extremes()), self._each.extremes()[1]
        else:
            return None
        return least / MILLION, most / MILLION

    def __call__(self, genomes: Genomes) -> Floats:
        """Return the costs of genomes in millions, (n, d) -> (n,)."""
        assert self._table is not None, "there is no table"
        millions: Floats = self._table(genomes).astype(np.float64) / MILLION
        return millions


@final
class Expected(Objective):
    """Average cost per image, measured by evaluations and predicted by surrogates for all other genomes.

    Example:
        >>> Expected(Measure("flops", "M multiply-adds"), (100.0, 900.0)).limits()
        (100.0, 900.0)
    """

    def __init__(self, measure: Measure, limits: tuple[float, float] | None) -> None:
        """Set the measure and the limits.

        Args:
            measure: Name and unit; the name is that of the metric of evaluations.
            limits: Smallest and largest average cost in the unit of the measure; ``None`` if unknown.
        """
        self.measure = measure
        self._limits = limits

    def limits(self) -> tuple[float, float] | None:
        """Return the smallest and largest average cost."""
        return self._limits


def expected(objective: Objective) -> Objective:
    """Replace an objective without an exact table by :class:`Expected`; return any other objective unchanged."""
    if isinstance(objective, TableCost) and not objective.exact:
        return Expected(objective.measure, objective.limits())
    return objective


def bounds(
    constraints: Mapping[str, Mapping[Literal["min", "max"], float | None]],
    objectives: Sequence[Objective],
    tables: Mapping[str, CostTable],
) -> list[Bound]:
    """Return the bounds on exact costs for the run's constraints.

    Args:
        constraints: Limits ``min`` and ``max`` by the name of the cost, in the cost's unit; ``None`` for no limit.
        objectives: Objectives of the run; exact ones may be constrained.
        tables: Cost tables of the supernet; FLOPs and parameters may be constrained in any run with these tables.

    Raises:
        UserError: If a constrained cost is not exact or unknown, or ``min`` is more than ``max``.

    Example:
        >>> from nas.space.table import AdditiveTable
        >>> table = AdditiveTable(1, [([0], np.array([1_000_000, 2_000_000]))])
        >>> found = bounds({"flops": {"min": None, "max": 1.5}}, [], {"macs": table, "params": table})
        >>> found[0].name, found[0].most
        ('flops', 1.5)
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
