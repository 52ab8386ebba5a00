"""Weights as they are."""

from functools import cached_property
from typing import final

from nas.supernet.base import Supernet
from nas.supernet.checkpoint import weights_digest
from nas.training.base import Training
from nas.types import Progress


@final
class NoTraining(Training):
    """Leaves the supernet's weights alone: they are published ones, or random."""

    def __init__(self, *, supernet: Supernet) -> None:
        """Take the supernet."""
        self._supernet = supernet

    def prepare(self, progress: Progress) -> None:
        """Do nothing."""

    @cached_property
    def weights(self) -> str | None:
        """The digest of the supernet's weights; ``None`` of a supernet that has none."""
        weights = self._supernet.module.state_dict()
        return weights_digest(weights) if weights else None
