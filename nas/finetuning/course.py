"""A whole fine-tuning: epochs one after the other, each on disk before the next one begins."""

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
"""Of ``summary.csv``: losses in nats, accuracies on the validation images in percent; ``ema`` of averaged weights."""

logger = logging.getLogger(__name__)

Row = dict[str, float | int | None]
"""A row of ``summary.csv``."""


@dataclass
class Best:
    """The best weights so far.

    Attributes:
        epoch: After which they were measured; 0 for those before the first one.
        averaged: Whether they are the moving average.
        top1, top5: On the validation images, percent.
        loss: Loss of the best network, nats.
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
class Checkpoint:
    """How far a fine-tuning is: all that the next epoch needs.

    Attributes:
        rows: Rows of ``summary.csv``, the first one before any training.
        best: The best weights; ``None`` before the first row.
        state: State of the training after the last row.
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

    def save(self, reached: Checkpoint, weights: Mapping[str, Tensor] | None) -> None:
        """Write how far it is, and the best weights where they are new."""
        assert reached.best is not None
        if weights is not None:
            content = {"epoch": reached.best.epoch, "weights": dict(weights)}
            checkpoint.save(self._folder / "best.pt", content)
        last = self._folder / "last.pt"
        if last.exists():
            last.replace(self._folder / "previous.pt")
        whole = {"rows": reached.rows, "best": vars(reached.best), "state": reached.state}
        checkpoint.save(last, whole)
        for path in self._folder.glob(".*.tmp"):  # of a process that was killed while it wrote
            path.unlink()

    def load(self) -> Checkpoint | None:
        """Return how far it is; ``None`` where nothing good is there, and all has to be done again."""
        for name in ("last.pt", "previous.pt"):
            stored = checkpoint.load(self._folder / name)
            if stored is None:
                continue
            best = Best(**stored["best"])
            weights = checkpoint.load(self._folder / "best.pt")
            if weights is not None and weights["epoch"] >= best.epoch:  # a later one will be the best again
                return Checkpoint(rows=stored["rows"], best=best, state=stored["state"])
            logger.warning("%s lacks the best weights so far: the training starts again", self._folder)
            return None
        return None

    def best_weights(self) -> dict[str, Tensor] | None:
        """Return the best weights; ``None`` where they are absent or damaged."""
        stored = checkpoint.load(self._folder / "best.pt")
        return None if stored is None else stored["weights"]


@final
class Course:
    """Trains, measures and remembers the best weights; a killed process goes on where it was.

    The best weights are those with the highest top-1 accuracy on the validation images, the weights before the first
    epoch and the moving average included; of equal ones those with the lower loss, then the earlier ones.
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
        """Take the parts.

        Args:
            trainer: This process's part in the training.
            members: The other processes; ``None`` for none.
            measure: Function that measures a network on the validation images.
            recipe: The settings.
            folder: Gets ``summary.csv`` and the folder ``checkpoints``.
        """
        self._trainer = trainer
        self._members = members
        self._measure = measure
        self._recipe = recipe
        self._summary = folder / "summary.csv"
        self._checkpoints = Checkpoints(folder / "checkpoints")
        self._reached = Checkpoint()

    def begin(self) -> Sequence[Row]:
        """Go on from what is on disk, or measure what the first epoch starts from; return the rows so far."""
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
        """Of ``summary.csv``, the first one before any training."""
        return self._reached.rows

    def epochs(self, told: Callable[[Row], None], stepped: Callable[[int, int], None]) -> Best:
        """Train all epochs that are left and return what is known of the best weights.

        Args:
            told: About each epoch that is on disk.
            stepped: Told how many steps of an epoch are done, and how many there are.

        Raises:
            RunError: If the loss is not finite, or another process fails.
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
        """Return the best weights, on the CPU.

        Raises:
            RunError: If the file is damaged.
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
        """Measure the weights as they are, and write what is known now."""
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
