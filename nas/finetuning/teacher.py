"""What a network learns from beside the labels."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import softmax

from nas.dataset.batches import resize
from nas.dataset.summary import Channels


@final
class Teacher(nn.Module):
    """A network in eval mode that sees the images that another one is trained on."""

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
        """Take the network.

        Args:
            network: Normalized images, (n, 3, r, r), to logits, (n, c).
            mean: Mean that the teacher's images are normalized with: subtracted from pixels scaled to 0..1, per
                channel.
            std: Divisor of the pixels after the mean is subtracted, per channel.
            resolution: Side of its input in pixels, if it takes no other; ``None``: it sees images as they come.
            images_mean: Mean that the student's images are normalized with.
            images_std: Standard deviation that the student's images are normalized with.
            order: Order of the teacher's outputs, one index for each class of the images; ``None`` if the order is
                equal.
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
        """Return the probabilities of the classes, (n, c), of normalised images, (n, 3, side, side)."""
        images = images * self.scale + self.shift
        if self._resolution is not None:
            images = resize(images, self._resolution)
        logits = self.network(images).float()
        return softmax(logits if self._order is None else logits[:, self._order], dim=1)
