"""Teacher network for knowledge distillation."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import softmax

from nas.dataset.batches import resize
from nas.dataset.summary import Channels


@final
class Teacher(nn.Module):
    """Frozen network that predicts class probabilities for the images of another network's training.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from nas.finetuning.teacher import Teacher
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 10))
        >>> own, images = {"mean": (0.5,) * 3, "std": (0.5,) * 3}, {"images_mean": (0.4,) * 3, "images_std": (0.2,) * 3}
        >>> teacher = Teacher(network, **own, **images, resolution=8)
        >>> teacher(torch.zeros(2, 3, 16, 16)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        mean: Channels,
        std: Channels,
        resolution: int | None,
        images_mean: Channels,
        images_std: Channels,
        order: Sequence[int] | None = None,
    ) -> None:
        """Freeze the network and compute the change of normalization.

        Args:
            network: Network that maps normalized images, (n, 3, r, r), to logits, (n, c).
            mean: Mean per channel of the teacher's normalization, for pixels scaled to 0..1.
            std: Standard deviation per channel of the teacher's normalization.
            resolution: Side of the teacher's input, in pixels; ``None`` to keep the side of the images.
            images_mean: Mean per channel of the normalization of the student's images.
            images_std: Standard deviation per channel of the normalization of the student's images.
            order: Index of the teacher's output for each class of the images; ``None`` if the orders are equal.
        """
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self._resolution = resolution
        self._order = None if order is None else list(order)
        scale = torch.tensor(images_std) / torch.tensor(std)
        shift = (torch.tensor(images_mean) - torch.tensor(mean)) / torch.tensor(std)
        self.register_buffer("scale", scale.reshape(3, 1, 1))
        self.register_buffer("shift", shift.reshape(3, 1, 1))
        self.scale: Tensor
        self.shift: Tensor

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return class probabilities, (n, c), for the student's normalized images, (n, 3, side, side)."""
        images = images * self.scale + self.shift
        if self._resolution is not None:
            images = resize(images, self._resolution)
        logits = self.network(images).float()
        return softmax(logits if self._order is None else logits[:, self._order], dim=1)
