"""What a fine-tuning that was killed goes on from."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from torch import Tensor

from nas.training import checkpoint

logger = logging.getLogger(__name__)

Row = dict[str, float | int | None]
"""A row of ``summary.csv``."""


@dataclass
class Best:
    """The best weights so far.

    Attributes:
        epoch: after which they were measured; 0 for those before the first one.
        averaged: whether they are the moving average.
        top1, top5: on the validation images, percent.
        loss: likewise, nats.
    """

    epoch: int
    averaged: bool
    top1: float
    top5: float
    loss: float

    @property
    def accuracy(self) -> dict[str, float]:
        """What they achieve, by name."""
        return {"top1": self.top1, "top5": self.top5, "loss": self.loss}


@dataclass
class Progress:
    """How far a fine-tuning is.

    Attributes:
        rows: of ``summary.csv``, the first one before any training.
        best: the best weights; ``None`` before the first row.
        state: of the descent after the last row.
    """

    rows: list[Row] = field(default_factory=list)
    best: Best | None = None
    state: dict[str, Any] = field(default_factory=dict)


@final
class Checkpoints:
    """A folder with ``best.pt``, weights, and ``last.pt`` and ``previous.pt``, all that the next epoch needs.

    ``best.pt`` is written first. A process that dies before ``last.pt`` is there makes the same epoch again, and with
    it the same file. Where the last one is damaged, the training goes on from the one before.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder, which is made with the first file."""
        self._folder = folder

    def save(self, progress: Progress, weights: Mapping[str, Tensor] | None) -> None:
        """Write how far it is, and the best weights where they are new."""
        assert progress.best is not None
        if weights is not None:
            content = {"epoch": progress.best.epoch, "weights": dict(weights)}
            checkpoint.save(self._folder / "best.pt", content)
        last = self._folder / "last.pt"
        if last.exists():
            last.replace(self._folder / "previous.pt")
        whole = {"rows": progress.rows, "best": vars(progress.best), "state": progress.state}
        checkpoint.save(last, whole)
        for path in self._folder.glob(".*.tmp"):  # of a process that was killed while it wrote
            path.unlink()

    def load(self) -> Progress | None:
        """Return how far it is; ``None`` where nothing good is there, and all has to be done again."""
        for name in ("last.pt", "previous.pt"):
            stored = checkpoint.load(self._folder / name)
            if stored is None:
                continue
            best = Best(**stored["best"])
            weights = checkpoint.load(self._folder / "best.pt")
            if weights is not None and weights["epoch"] >= best.epoch:  # a later one will be the best again
                return Progress(rows=stored["rows"], best=best, state=stored["state"])
            logger.warning("%s lacks the best weights so far: the training starts again", self._folder)
            return None
        return None

    def best_weights(self) -> dict[str, Tensor] | None:
        """Return the best weights; ``None`` where they are absent or damaged."""
        stored = checkpoint.load(self._folder / "best.pt")
        return None if stored is None else stored["weights"]
