"""Latency that a tabular benchmark has measured."""

from collections.abc import Mapping
from typing import final

import numpy as np

from nas.objective.base import Cost, Objective
from nas.objective.latency import Latency
from nas.space.table import AdditiveTable
from nas.types import Floats, Genomes

TABLE = "latency"


@final
class BenchmarkLatency(Cost):
    """Milliseconds as a benchmark publishes them, known for every architecture."""

    measure = Latency.measure

    def __init__(self, *, tables: Mapping[str, AdditiveTable]) -> None:
        """Take the benchmark's tables, see :meth:`nas.space.source.SpaceSource.costs`."""
        self._table = tables[TABLE]

    def limits(self) -> tuple[float, float] | None:
        """Return the least and the largest latency in milliseconds."""
        least, most = self._table.extremes()
        return least / 1e6, most / 1e6

    def __call__(self, genomes: Genomes) -> Floats:
        """Return the latency of each genome in milliseconds, (n, d) -> (n,)."""
        nanoseconds: Floats = self._table(genomes).astype(np.float64)
        return nanoseconds / 1e6


def tabulated(objective: Objective, tables: Mapping[str, AdditiveTable]) -> Objective:
    """Return the benchmark's latency in place of a measured one, where the tables have it; else the objective."""
    return BenchmarkLatency(tables=tables) if isinstance(objective, Latency) and TABLE in tables else objective
