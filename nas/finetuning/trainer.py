"""Fine-tuning of a network in one process of a team."""

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nas.dataset.base import Dataset
from nas.dataset.training_batches import TrainingBatches
from nas.finetuning.erasing import erase
from nas.finetuning.recipe import Recipe
from nas.finetuning.teacher import Teacher
from nas.seeding import rng_for
from nas.supernet.precision import half_precision
from nas.team import Team
from nas.training.descent import Descent, copied

TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@final
class Trainer:
    """Training of a network with timm's optimizer, epoch by epoch.

    The random numbers of an epoch depend only on the seed and its number. Several processes take the same steps, each
    on its part of a batch. Only the first process keeps the average of the weights.

    Attributes:
        network: Network in training; it is in eval mode between epochs.
        average: Network with averaged weights (EMA); ``None`` for none.
        lr: Learning rate of the last step.
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        teacher: Teacher | None,
        dataset: Dataset,
        resolution: int,
        recipe: Recipe,
        seed: int,
        device: torch.device,
        team: Team,
    ) -> None:
        """Prepare the optimizer; the network moves to the device.

        Args:
            network: Network that maps normalized images, (n, 3, resolution, resolution), to logits, (n, classes).
            teacher: Teacher with the same classes; ``None`` for none.
            dataset: Data set; its training split is used.
            resolution: Side of the network's input in pixels.
            recipe: Settings of the fine-tuning.
            seed: Seed of the images' order, augmentation, erasing and dropout.
            device: Torch device of this process.
            team: Team of this process.
        """
        from timm.utils import ModelEmaV3

        self._recipe = recipe
        self._device = device
        self._team = team
        self._seed = seed
        self._resolution = resolution
        self._batches = TrainingBatches(
            dataset=dataset, batch_size=recipe.batch_size, seed=seed, device=device, team=team
        )
        self._size = min(recipe.batch_size, self._batches.n_images)
        self.network = network.to(device).requires_grad_(True).eval()
        self._teacher = None if teacher is None else teacher.to(device)
        if device.type == "cuda":
            self.network.to(memory_format=torch.channels_last)
        self._optimizer = recipe.make_optimizer(self.network)
        self._schedule = recipe.make_schedule(self._optimizer, len(self._batches))
        self._type = _half(recipe, device)
        self._descent = Descent(
            self._optimizer,
            list(self.network.parameters()),
            scaler=torch.amp.GradScaler(device.type, enabled=self._type is torch.float16),
            device=device,
            team=team,
            clip_norm=recipe.clip_norm,
        )
        self._ema: Any = None
        if recipe.ema is not None and team.rank == 0:
            self._ema = ModelEmaV3(self.network, decay=recipe.ema, use_warmup=recipe.ema_warmup)
        self._steps = 0
        self.lr = 0.0

    @property
    def average(self) -> nn.Module | None:
        """Network with the averaged weights (EMA); ``None`` for none."""
        return None if self._ema is None else self._ema.module

    def precision(self) -> AbstractContextManager[object]:
        """Return a context in which networks compute in the precision of the recipe."""
        return torch.autocast(self._device.type, dtype=self._type, enabled=self._type is not None)

    def state(self) -> dict[str, Any]:
        """Return a copy of the training's state in host memory."""
        state: dict[str, Any] = copied(
            {
                "network": dict(self.network.state_dict()),
                **self._descent.state(),
                "average": {} if self._ema is None else dict(self._ema.module.state_dict()),
                "steps": self._steps,
            }
        )
        return state

    def load(self, state: dict[str, Any]) -> None:
        """Resume from a state that :meth:`state` returned, possibly in another process."""
        # The package ``ofa`` has a class whose own ``load_state_dict`` accepts wrong states.
        nn.Module.load_state_dict(self.network, state["network"])
        self._descent.load(state)
        if self._ema is not None:
            nn.Module.load_state_dict(self._ema.module, state["average"])
        self._steps = state["steps"]

    def train_epoch(self, number: int, told: Callable[[int, int], None] | None = None) -> float:
        """Train for an epoch and return the mean loss of its steps.

        All processes of a team must call this with the same number and start from the same state.

        Args:
            number: Number of the epoch, from 0.
            told: Function that is called after each step with the number of finished steps and of all steps; ``None``
                for none.
        """
        batches = self._batches.epoch(number, [self._resolution] * len(self._batches))
        total = torch.zeros(1, dtype=torch.float64, device=self._device)
        self.network.train()
        self._schedule.step(number)
        with self._descent.seeded(self._seed, number, f"dropout {self._team.rank}"):
            for step, (images, targets) in enumerate(batches):
                self._schedule.step_update(number * len(self._batches) + step)
                rng = rng_for(self._seed, number, f"erase {step}")
                total += self._step(self._erased(images, rng), targets)
                if told is not None:
                    told(step + 1, len(self._batches))
        self.network.eval()
        self.lr = float(self._optimizer.param_groups[0]["lr"])
        return float(self._team.gather(total.cpu()).sum()) / len(self._batches)

    def _erased(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        return erase(images, self._recipe.erasing, self._team.part(self._size), self._size, rng)

    def _step(self, images: Tensor, targets: Tensor) -> Tensor:
        """Take one step and return this process's share of the loss."""
        self._optimizer.zero_grad()
        with self.precision():
            logits = self.network(images)
            taught = None if self._teacher is None else self._teacher(images)
        loss = self._loss(logits.float(), targets, taught) * (len(images) / self._size)
        self._descent.step(loss)
        self._steps += 1
        if self._ema is not None:
            self._ema.update(self.network, step=self._steps if self._recipe.ema_warmup else None)
        return loss.detach()

    def _loss(self, logits: Tensor, targets: Tensor, taught: Tensor | None) -> Tensor:
        loss = cross_entropy(logits, targets, label_smoothing=self._recipe.label_smoothing)
        if taught is None:
            return loss
        ratio = self._recipe.distillation
        return (loss + ratio * cross_entropy(logits, taught)) * (2 / (1 + ratio))


@dataclass(frozen=True)
class TrainerReplica:
    """Factory that builds a :class:`Trainer` in another process.

    Attributes:
        network: Network as bytes from :func:`as_bytes`.
        teacher: Teacher as bytes from :func:`as_bytes`; ``None`` for none.
        dataset: Function that builds the data set for a device.
        resolution, recipe, seed: Arguments of :class:`Trainer`.
    """

    network: bytes
    teacher: bytes | None
    dataset: Callable[[str], Dataset]
    resolution: int
    recipe: Recipe
    seed: int

    def __call__(self, device: str) -> Callable[..., Trainer]:
        """Return a function that makes the :class:`Trainer` when the process joins a team."""
        teacher = None if self.teacher is None else from_bytes(self.teacher)
        assert teacher is None or isinstance(teacher, Teacher)
        return partial(
            Trainer,
            network=from_bytes(self.network),
            teacher=teacher,
            dataset=self.dataset(device),
            resolution=self.resolution,
            recipe=self.recipe,
            seed=self.seed,
        )


def as_bytes(module: nn.Module) -> bytes:
    """Serialize a module for another process of this program; a module that is sent directly shares its tensors.

    Example:
        >>> from torch import nn
        >>> from nas.finetuning.trainer import as_bytes, from_bytes
        >>> from_bytes(as_bytes(nn.Linear(4, 2)))
        Linear(in_features=4, out_features=2, bias=True)
    """
    buffer = io.BytesIO()
    torch.save(module, buffer)
    return buffer.getvalue()


def from_bytes(data: bytes) -> nn.Module:
    """Return the module that :func:`as_bytes` serialized, on the CPU."""
    module: nn.Module = torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
    return module


def _half(recipe: Recipe, device: torch.device) -> torch.dtype | None:
    """Return the data type of mixed precision; ``None`` for single precision, which is faster on the CPU."""
    if device.type != "cuda" or recipe.precision == "single":
        return None
    return half_precision(device) if recipe.precision == "auto" else TYPES[recipe.precision]
