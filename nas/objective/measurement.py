"""Objectives that are measured on the network itself."""

from abc import abstractmethod

from torch import nn

from nas.objective.base import Objective


class Measurement(Objective):
    """An objective that is measured on each evaluated network; surrogates predict it for all others."""

    @abstractmethod
    def of(self, network: nn.Module, resolution: int) -> float:
        """Return the network's value in the measure's unit.

        Args:
            network: an extracted subnet in eval mode; it may be moved to another device.
            resolution: side of its square input, pixels.
        """
