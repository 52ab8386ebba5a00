"""A whole fine-tuning: epochs one after the other, each on disk before the next one begins."""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, final

from torch import Tensor, nn

from nas.errors import RunError
from nas.files import write_text
from nas.finetuning.accuracy import Accuracy
from nas.finetuning.checkpoints import Best, Checkpoints, Progress, Row
from nas.finetuning.descent import Descent
from nas.finetuning.recipe import Recipe
from nas.training.members import Members

COLUMNS = ("epoch", "lr", "train_loss", "val_loss", "top1", "top5", "ema_loss", "ema_top1", "ema_top5")
"""Of ``summary.csv``: losses in nats, accuracies on the validation images in percent; ``ema`` of averaged weights."""


@final
class Course:
    """Trains, measures and remembers the best weights; a killed process goes on where it was.

    The best weights are those with the highest top-1 accuracy on the validation images, the weights before the first
    epoch and the moving average included; of equal ones those with the lower loss, then the earlier ones.
    """

    def __init__(
        self,
        *,
        descent: Descent,
        members: Members | None,
        measure: Callable[[nn.Module], Accuracy],
        recipe: Recipe,
        folder: Path,
    ) -> None:
        """Take the parts.

        Args:
            descent: this process's part in the training.
            members: the other processes; ``None`` for none.
            measure: of a network on the validation images.
            recipe: the settings.
            folder: gets ``summary.csv`` and the folder ``checkpoints``.
        """
        self._descent = descent
        self._members = members
        self._measure = measure
        self._recipe = recipe
        self._summary = folder / "summary.csv"
        self._checkpoints = Checkpoints(folder / "checkpoints")
        self._progress = Progress()

    def begin(self) -> Sequence[Row]:
        """Go on from what is on disk, or measure what the first epoch starts from; return the rows so far."""
        found = self._checkpoints.load()
        if found is None:
            self._add({"lr": None, "train_loss": None})
        else:
            self._progress = found
            self._descent.load(found.state)
            self._write_summary()
        if self._members is not None:
            self._members.load(self._progress.state)
        return self._progress.rows

    @property
    def rows(self) -> Sequence[Row]:
        """Of ``summary.csv``, the first one before any training."""
        return self._progress.rows

    def epochs(self, told: Callable[[Row], None], stepped: Callable[[int, int], None]) -> Best:
        """Train all epochs that are left and return what is known of the best weights.

        Args:
            told: about each epoch that is on disk.
            stepped: told how many steps of an epoch are done, and how many there are.

        Raises:
            RunError: if the loss is not finite, or another process fails.
        """
        for number in range(len(self._progress.rows) - 1, self._recipe.epochs):
            loss = self._train(number, stepped)
            if not math.isfinite(loss):
                raise RunError(
                    f"the loss of epoch {number + 1} is not finite; lower finetuning.lr={self._recipe.lr:g}, or set "
                    f"finetuning.clip_norm"
                )
            self._add({"lr": self._descent.lr, "train_loss": loss})
            told(self._progress.rows[-1])
        assert self._progress.best is not None
        return self._progress.best

    def best_weights(self) -> Mapping[str, Tensor]:
        """Return the best weights, on the CPU.

        Raises:
            RunError: if the file is damaged.
        """
        weights = self._checkpoints.best_weights()
        if weights is None:
            raise RunError("the best weights in the folder 'checkpoints' are damaged; remove it to train again")
        return weights

    def _train(self, number: int, stepped: Callable[[int, int], None]) -> float:
        if self._members is None:
            return self._descent.train_epoch(number, stepped)
        with self._members.training(number):
            return self._descent.train_epoch(number, stepped)

    def _add(self, trained: Row) -> None:
        """Measure the weights as they are, and write what is known now."""
        epoch, average = len(self._progress.rows), self._descent.average
        own = self._measure(self._descent.network)
        averaged = None if average is None else self._measure(average)
        row: Row = {"epoch": epoch, **trained}
        row |= {"val_loss": own.loss, "top1": own.top1, "top5": own.top5}
        row |= {f"ema_{name}": value for name, value in (asdict(averaged) if averaged else {}).items()}
        self._progress.rows.append({name: row.get(name) for name in COLUMNS})
        weights: Mapping[str, Any] | None = None
        for network, found in ((self._descent.network, own), (average, averaged)):
            if network is not None and found is not None and self._is_better(found):
                self._progress.best = Best(epoch, network is average, found.top1, found.top5, found.loss)
                weights = network.state_dict()
        self._progress.state = self._descent.state()
        self._checkpoints.save(self._progress, weights)
        self._write_summary()

    def _is_better(self, found: Accuracy) -> bool:
        best = self._progress.best
        return best is None or (found.top1, -found.loss) > (best.top1, -best.loss)

    def _write_summary(self) -> None:
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(self._progress.rows)
        write_text(self._summary, text.getvalue())
