"""The latency of the extracted network itself."""

from collections.abc import Mapping
from typing import final

import numpy as np
import torch
from torch import nn

from nas.objective.base import Cost, Measurement, Objective
from nas.objective.timing import forward_times, noise
from nas.space.table import CostTable
from nas.types import Floats, Genomes, Measure, NonNegativeInt, PositiveInt


@final
class Latency(Measurement):
    """Milliseconds of a forward pass of a whole batch: the median of several, on the device of the run.

    A measured value differs a little from one time to the next. So a run with this objective cannot be repeated
    byte for byte, and nothing else should use the device meanwhile.
    """

    measure = Measure("latency", "ms")

    def __init__(
        self,
        *,
        device: torch.device | str,
        batch_size: PositiveInt = 1,
        warmup: NonNegativeInt = 10,
        repeats: PositiveInt = 50,
    ) -> None:
        """Set how to measure.

        Args:
            device: Torch device that latency is measured on.
            batch_size: Number of images of a pass.
            warmup: Number of passes before the measured ones.
            repeats: Number of measured passes, whose median counts.
        """
        self._device = torch.device(device)
        self._batch_size = batch_size
        self._warmup = warmup
        self._repeats = repeats

    def of(self, network: nn.Module, resolution: int) -> float:
        """Return the network's latency in milliseconds; it is moved to the device of the run."""
        images = noise(self._batch_size, resolution, self._device)
        times = forward_times(network.to(self._device), images, warmup=self._warmup, repeats=self._repeats)
        return float(np.median(times))


TABLE = "latency"


@final
class BenchmarkLatency(Cost):
    """Milliseconds as a benchmark publishes them, known for every architecture."""

    measure = Latency.measure

    def __init__(self, *, tables: Mapping[str, CostTable]) -> None:
        """Take the benchmark's tables, see :meth:`nas.space.base.SpaceSource.costs`."""
        self._table = tables[TABLE]

    def limits(self) -> tuple[float, float] | None:
        """Return the least and the largest latency in milliseconds."""
        least, most = self._table.extremes()
        return least / 1e6, most / 1e6

    def __call__(self, genomes: Genomes) -> Floats:
        """Return the latency of each genome in milliseconds, (n, d) -> (n,)."""
        nanoseconds: Floats = self._table(genomes).astype(np.float64)
        return nanoseconds / 1e6


def tabulated(objective: Objective, tables: Mapping[str, CostTable]) -> Objective:
    """Return the benchmark's latency in place of a measured one, where the tables have it; else the objective."""
    return BenchmarkLatency(tables=tables) if isinstance(objective, Latency) and TABLE in tables else objective
