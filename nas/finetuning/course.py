"""Fine-tuning of a network: all epochs, with a checkpoint after each of them."""

import csv
import io
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, final

from torch import Tensor, nn

from nas.errors import RunError
from nas.evaluator.accuracy import Metrics
from nas.files import write_text
from nas.finetuning.recipe import Recipe
from nas.finetuning.trainer import Trainer
from nas.training import checkpoint
from nas.training.members import Members

COLUMNS = ("epoch", "lr", "train_loss", "val_loss", "top1", "top5", "ema_loss", "ema_top1", "ema_top5")
"""Columns of ``summary.csv``: losses in nats, validation accuracies in percent; ``ema`` for the averaged weights."""

logger = logging.getLogger(__name__)

Row = dict[str, float | int | None]
"""A row of ``summary.csv``."""


@dataclass
class Best:
    """Epoch and validation metrics of the best weights so far.

    Attributes:
        epoch: Number of trained epochs; 0 for the weights before the first one.
        averaged: Whether the weights are the exponential moving average (EMA).
        top1, top5: Validation accuracy in percent.
        loss: Validation loss in nats.

    Example:
        >>> from nas.finetuning.course import Best
        >>> Best(epoch=3, averaged=False, top1=91.5, top5=99.0, loss=0.25).accuracy
        {'top1': 91.5, 'top5': 99.0, 'loss': 0.25}
    """

    epoch: int
    averaged: bool
    top1: float
    top5: float
    loss: float

    @property
    def accuracy(self) -> dict[str, float]:
        """Accuracies in percent and loss in nats, by name."""
        return {"top1": self.top1, "top5": self.top5, "loss": self.loss}


@dataclass
class Checkpoint:
    """Progress of a fine-tuning: everything that the next epoch needs.

    Attributes:
        rows: Rows of ``summary.csv``; the first one is measured before the training.
        best: Epoch and metrics of the best weights; ``None`` before the first row.
        state: State of the training after the last row.
    """

    rows: list[Row] = field(default_factory=list)
    best: Best | None = None
    state: dict[str, Any] = field(default_factory=dict)


@final
class Checkpoints:
    """Folder of checkpoints: the best weights in ``best.pt``, the training's state in ``last.pt`` and ``previous.pt``.

    ``best.pt`` is written before ``last.pt``. If a process dies between the two, the resumed training repeats the epoch
    and writes the same ``best.pt``. If ``last.pt`` is damaged, the training resumes from ``previous.pt``.
    """

    def __init__(self, folder: Path) -> None:
        """Store the folder.

        Args:
            folder: Folder of the checkpoints; the first checkpoint creates it.
        """
        self._folder = folder

    def save(self, reached: Checkpoint, weights: Mapping[str, Tensor] | None) -> None:
        """Write a checkpoint.

        Args:
            reached: Progress of the training, with at least one row.
            weights: Best weights by name; ``None`` if they have not changed since the last checkpoint.
        """
        assert reached.best is not None
        if weights is not None:
            content = {"epoch": reached.best.epoch, "weights": dict(weights)}
            checkpoint.save(self._folder / "best.pt", content)
        last = self._folder / "last.pt"
        if last.exists():
            last.replace(self._folder / "previous.pt")
        whole = {"rows": reached.rows, "best": vars(reached.best), "state": reached.state}
        checkpoint.save(last, whole)
        for path in self._folder.glob(".*.tmp"):  # temporary files of killed processes
            path.unlink()

    def load(self) -> Checkpoint | None:
        """Return the newest undamaged progress; ``None`` if there is none and the training has to start again."""
        for name in ("last.pt", "previous.pt"):
            stored = checkpoint.load(self._folder / name)
            if stored is None:
                continue
            best = Best(**stored["best"])
            weights = checkpoint.load(self._folder / "best.pt")
            if weights is not None and weights["epoch"] >= best.epoch:  # repeated epochs find later ones again
                return Checkpoint(rows=stored["rows"], best=best, state=stored["state"])
            logger.warning("%s lacks the best weights so far: the training starts again", self._folder)
            return None
        return None

    def best_weights(self) -> dict[str, Tensor] | None:
        """Return the best weights by name; ``None`` if they are absent or damaged."""
        stored = checkpoint.load(self._folder / "best.pt")
        return None if stored is None else stored["weights"]


@final
class Course:
    """Fine-tuning that measures each epoch, keeps the best weights and resumes after it was killed.

    The best weights have the highest top-1 accuracy on the validation images. Candidates are the weights before the
    first epoch, those after each epoch, and their moving average. Ties are broken by the lower loss, then by the
    earlier epoch.
    """

    def __init__(
        self,
        *,
        trainer: Trainer,
        members: Members | None,
        measure: Callable[[nn.Module], Metrics],
        recipe: Recipe,
        folder: Path,
    ) -> None:
        """Store the parts of the fine-tuning; nothing is trained yet.

        Args:
            trainer: Training in this process.
            members: Other processes of the team; ``None`` for none.
            measure: Function that measures a network on the validation images.
            recipe: Settings of the fine-tuning.
            folder: Folder of ``summary.csv`` and of the folder ``checkpoints``.
        """
        self._trainer = trainer
        self._members = members
        self._measure = measure
        self._recipe = recipe
        self._summary = folder / "summary.csv"
        self._checkpoints = Checkpoints(folder / "checkpoints")
        self._reached = Checkpoint()

    def begin(self) -> Sequence[Row]:
        """Resume from the checkpoint on disk, or measure the initial weights; return the rows so far."""
        found = self._checkpoints.load()
        if found is None:
            self._add({"lr": None, "train_loss": None})
        else:
            self._reached = found
            self._trainer.load(found.state)
            self._write_summary()
        if self._members is not None:
            self._members.load(self._reached.state)
        return self._reached.rows

    @property
    def rows(self) -> Sequence[Row]:
        """Rows of ``summary.csv`` so far; the first one is measured before the training."""
        return self._reached.rows

    def epochs(self, told: Callable[[Row], None], stepped: Callable[[int, int], None]) -> Best:
        """Train the remaining epochs and return epoch and metrics of the best weights.

        Args:
            told: Function that is called with the row of each epoch after its checkpoint is on disk.
            stepped: Function that is called after each step with the number of finished steps in the epoch and the
                number of all steps.

        Raises:
            RunError: If the loss is not finite, or if another process fails.
        """
        for number in range(len(self._reached.rows) - 1, self._recipe.epochs):
            loss = self._train(number, stepped)
            if not math.isfinite(loss):
                raise RunError(
                    f"the loss of epoch {number + 1} is not finite; lower finetuning.lr={self._recipe.lr:g}, or set "
                    f"finetuning.clip_norm"
                )
            self._add({"lr": self._trainer.lr, "train_loss": loss})
            told(self._reached.rows[-1])
        assert self._reached.best is not None
        return self._reached.best

    def best_weights(self) -> Mapping[str, Tensor]:
        """Return the best weights by name, on the CPU.

        Raises:
            RunError: If their file is absent or damaged.
        """
        weights = self._checkpoints.best_weights()
        if weights is None:
            raise RunError("the best weights in the folder 'checkpoints' are damaged; remove it to train again")
        return weights

    def _train(self, number: int, stepped: Callable[[int, int], None]) -> float:
        if self._members is None:
            return self._trainer.train_epoch(number, stepped)
        with self._members.training(number):
            return self._trainer.train_epoch(number, stepped)

    def _add(self, trained: Row) -> None:
        """Measure the current weights, add their row, and write the checkpoint and ``summary.csv``.

        Args:
            trained: Learning rate and training loss of the epoch; both ``None`` before the first one.
        """
        epoch, average = len(self._reached.rows), self._trainer.average
        own = self._measure(self._trainer.network)
        averaged = None if average is None else self._measure(average)
        row: Row = {"epoch": epoch, **trained}
        row |= {"val_loss": own.loss, "top1": own.top1, "top5": own.top5}
        row |= {f"ema_{name}": value for name, value in (asdict(averaged) if averaged else {}).items()}
        self._reached.rows.append({name: row.get(name) for name in COLUMNS})
        weights: Mapping[str, Any] | None = None
        for network, found in ((self._trainer.network, own), (average, averaged)):
            if network is not None and found is not None and self._is_better(found):
                self._reached.best = Best(epoch, network is average, found.top1, found.top5, found.loss)
                weights = network.state_dict()
        self._reached.state = self._trainer.state()
        self._checkpoints.save(self._reached, weights)
        self._write_summary()

    def _is_better(self, found: Metrics) -> bool:
        best = self._reached.best
        return best is None or (found.top1, -found.loss) > (best.top1, -best.loss)

    def _write_summary(self) -> None:
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(self._reached.rows)
        write_text(self._summary, text.getvalue())
