"""Objective: latency, measured on extracted networks or published by a benchmark."""

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
    """Measured latency of a forward pass of one batch, in milliseconds: the median of several passes.

    Measured values vary slightly. A run with this objective is therefore not exactly reproducible, and nothing else
    should use the device during the run.

    Example:
        >>> latency = Latency(device="cpu", batch_size=2, warmup=1, repeats=3)
        >>> latency.measure.label
        'latency (ms)'
        >>> latency.of(nn.Conv2d(3, 8, 3), resolution=16) > 0
        True
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
        """Set the measurement.

        Args:
            device: Torch device of the measurement, for example ``"cuda:0"``.
            batch_size: Number of images in a batch, 1 or more.
            warmup: Number of passes before the measured ones, 0 or more.
            repeats: Number of measured passes, 1 or more; their median is the latency.
        """
        self._device = torch.device(device)
        self._batch_size = batch_size
        self._warmup = warmup
        self._repeats = repeats

    def of(self, network: nn.Module, resolution: int) -> float:
        """Return the network's latency in milliseconds; the network is moved to the device of the measurement."""
        images = noise(self._batch_size, resolution, self._device)
        times = forward_times(network.to(self._device), images, warmup=self._warmup, repeats=self._repeats)
        return float(np.median(times))


TABLE = "latency"


@final
class BenchmarkLatency(Cost):
    """Latency in milliseconds from a benchmark, known for every architecture.

    Example:
        >>> from nas.space.table import AdditiveTable
        >>> table = AdditiveTable(1, [([0], np.array([2_000_000, 3_500_000]))])
        >>> BenchmarkLatency(tables={"latency": table})(np.array([[0], [1]]))
        array([2. , 3.5])
    """

    measure = Latency.measure

    def __init__(self, *, tables: Mapping[str, CostTable]) -> None:
        """Take the cost tables of the benchmark, see :meth:`nas.space.base.SpaceSource.costs`."""
        self._table = tables[TABLE]

    def limits(self) -> tuple[float, float] | None:
        """Return the smallest and largest latency in milliseconds."""
        least, most = self._table.extremes()
        return least / 1e6, most / 1e6

    def __call__(self, genomes: Genomes) -> Floats:
        """Return the latencies of genomes in milliseconds, (n, d) -> (n,)."""
        nanoseconds: Floats = self._table(genomes).astype(np.float64)
        return nanoseconds / 1e6


def tabulated(objective: Objective, tables: Mapping[str, CostTable]) -> Objective:
    """Replace a measured latency by the benchmark's if the tables have it; return any other objective unchanged."""
    return BenchmarkLatency(tables=tables) if isinstance(objective, Latency) and TABLE in tables else objective
