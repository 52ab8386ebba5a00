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
            network: normalised images, (n, 3, r, r), to logits, (n, c).
            mean: what its images are normalised with: subtracted from pixels scaled to 0..1, per channel.
            std: what they are divided by then, per channel.
            resolution: side of its input in pixels, if it takes no other; ``None``: it sees images as they come.
            images_mean: what the images that it gets are normalised with.
            images_std: likewise.
            order: of its outputs, one index a class of the images; ``None`` where they are in the same order.
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
