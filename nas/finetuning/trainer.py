"""One process's part in training a network further."""

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
    """Steps of timm's optimizer on the training images, epoch by epoch.

    An epoch's random numbers come from the seed and its number alone. Several processes take the same steps, each on
    its part of a batch; only the first one keeps the average of the weights.

    Attributes:
        network: Network in training; in eval mode between epochs.
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
            network: Normalized images, (n, 3, resolution, resolution), to logits, (n, classes).
            teacher: Teacher with the same classes; ``None`` for none.
            dataset: The images.
            resolution: Side of the network's input in pixels.
            recipe: The settings.
            seed: Seed of order, augmentation and dropout.
            device: Torch device of this process.
            team: This process's.
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
        """The network with the average of the weights."""
        return None if self._ema is None else self._ema.module

    def precision(self) -> AbstractContextManager[object]:
        """Return a context in which networks compute as the recipe says."""
        return torch.autocast(self._device.type, dtype=self._type, enabled=self._type is not None)

    def state(self) -> dict[str, Any]:
        """Return a copy, in host memory, of everything that the training goes on from."""
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
        """Go on from what :meth:`state` returned, possibly in another process."""
        # A class of the package ``ofa`` has a method of its own, which accepts too much.
        nn.Module.load_state_dict(self.network, state["network"])
        self._descent.load(state)
        if self._ema is not None:
            nn.Module.load_state_dict(self._ema.module, state["average"])
        self._steps = state["steps"]

    def train_epoch(self, number: int, told: Callable[[int, int], None] | None = None) -> float:
        """Train on the images of an epoch and return the mean loss of its steps.

        All processes of a team call this with the same number, starting from the same state.

        Args:
            number: Number of the epoch, from 0.
            told: Function that is told the number of finished steps and of all steps.
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
    """Builds what another process of a team trains.

    Attributes:
        network: As :func:`as_bytes` writes it.
        teacher: Teacher, sent in the same way; ``None`` for none.
        dataset: Builds the images for a device.
        resolution, recipe, seed: See :class:`Trainer`.
    """

    network: bytes
    teacher: bytes | None
    dataset: Callable[[str], Dataset]
    resolution: int
    recipe: Recipe
    seed: int

    def __call__(self, device: str) -> Callable[..., Trainer]:
        """Return what becomes a part of the training when it joins a team."""
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
    """Return a module with its tensors, for another process of this program: sent as it is, it would share them."""
    buffer = io.BytesIO()
    torch.save(module, buffer)
    return buffer.getvalue()


def from_bytes(data: bytes) -> nn.Module:
    """Return what :func:`as_bytes` was given, on the CPU."""
    module: nn.Module = torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
    return module


def _half(recipe: Recipe, device: torch.device) -> torch.dtype | None:
    """Return the type of mixed precision; ``None`` on the CPU, which is quicker in single precision."""
    if device.type != "cuda" or recipe.precision == "single":
        return None
    return half_precision(device) if recipe.precision == "auto" else TYPES[recipe.precision]
