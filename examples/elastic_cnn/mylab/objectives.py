"""Two objectives: the memory of activations, which is known, and latency, which is measured."""

import time

import numpy as np
import torch
from torch import nn

import nas
from mylab.nets import N_STAGES, side_after
from nas.types import Floats, Genomes, PositiveInt


class ActivationMemory(nas.Cost):
    """Memory of the largest layer output of an image, in kilobytes of float32; known for all genomes at once."""

    def __init__(self, *, space: nas.SearchSpace) -> None:  # given by the experiment
        self.measure = nas.Measure("activation_memory", "kB")
        self._space = space

    def __call__(self, genomes: Genomes) -> Floats:
        names = list(self._space.names)
        choices = self._space.choices
        sides = np.array(choices["r"])[genomes[:, names.index("r")]]
        stages = [
            np.array(choices[f"w{s}"])[genomes[:, names.index(f"w{s}")]] * side_after_all(s, sides) ** 2
            for s in range(N_STAGES)
        ]
        return 4 * np.max(stages, axis=0) / 1000

    def limits(self) -> tuple[float, float]:
        """Return the smallest and the largest value, so that hypervolumes of all runs can be compared."""
        ends = self(np.stack([self._space.smallest, self._space.largest]))
        return float(ends[0]), float(ends[1])


def side_after_all(stage: int, resolutions: np.ndarray) -> np.ndarray:
    """Return :func:`mylab.nets.side_after` of each resolution."""
    return np.vectorize(side_after, otypes=[np.int64])(stage, resolutions)


class CameraLatency(nas.Measurement):
    """Latency of one image on this machine in milliseconds: the median of some runs, one thread.

    A camera or a phone would be asked here instead: save the network, run the device's benchmark, return its number.
    """

    def __init__(self, *, runs: PositiveInt = 9) -> None:
        self.measure = nas.Measure("camera_latency", "ms")
        self._runs = runs

    def of(self, network: nn.Module, resolution: int) -> float:
        image, times = torch.zeros(1, 3, resolution, resolution), []
        with torch.inference_mode():
            for _ in range(self._runs):
                start = time.perf_counter()
                network.cpu()(image)
                times.append(1000 * (time.perf_counter() - start))
        return float(np.median(times))
