"""What is trained, sent to other processes."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from nas.dataset.base import Dataset
from nas.finetuning.descent import Descent
from nas.finetuning.recipe import Recipe
from nas.finetuning.teacher import Teacher


@dataclass(frozen=True)
class Copies:
    """Builds what another process trains.

    Attributes:
        network: as :func:`as_bytes` writes it.
        teacher: likewise; ``None`` for none.
        dataset: builds the images for a device.
        resolution, recipe, seed: see :class:`nas.finetuning.descent.Descent`.
    """

    network: bytes
    teacher: bytes | None
    dataset: Callable[[str], Dataset]
    resolution: int
    recipe: Recipe
    seed: int

    def __call__(self, device: str) -> Callable[..., Descent]:
        """Return what becomes a part of the training when it joins a team."""
        teacher = None if self.teacher is None else from_bytes(self.teacher)
        assert teacher is None or isinstance(teacher, Teacher)
        return partial(
            Descent,
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
