"""The latency of the extracted network itself."""

from typing import final

import numpy as np
import torch
from torch import nn

from nas.objective.measurement import Measurement
from nas.objective.timing import forward_times, noise
from nas.types import Measure, NonNegativeInt, PositiveInt


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
        batch_size: PositiveInt,
        warmup: NonNegativeInt,
        repeats: PositiveInt,
    ) -> None:
        """Set how to measure.

        Args:
            device: where networks run.
            batch_size: images of a pass.
            warmup: passes that do not count, before the others.
            repeats: passes whose median counts.
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
