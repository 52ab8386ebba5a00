"""Weights as they are."""

from typing import final

from nas.training.base import Progress, Training
from nas.types import Batch


@final
class NoTraining(Training):
    """Leaves the supernet's weights alone: they are published ones, or random."""

    def prepare(self, progress: Progress) -> None:
        """Do nothing."""

    def adapt(self, batch: Batch, step: int) -> None:
        """Do nothing."""
