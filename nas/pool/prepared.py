"""Networks of a pool behind the changes that their images need, so that all of them take the same images."""

from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from nas.dataset.batches import centre, resize


@dataclass(frozen=True)
class Crop:
    """The centre of an image is cut out after the image is resized.

    Attributes:
        mode: how images are resized.
        side: the shorter side of an image then, in pixels.
    """

    mode: Literal["bilinear", "bicubic"]
    side: int


@final
class Prepared(nn.Module):
    """A network that resizes and normalises its images itself.

    Attributes:
        network: normalised images, (n, 3, resolution, resolution), to logits, (n, c).
        resolution, crop: as the constructor takes them.
        mean, std: likewise, shape (3, 1, 1).
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        resolution: int,
        crop: Crop | float,
    ) -> None:
        """Put the changes before a network.

        Args:
            network: normalised images, (n, 3, resolution, resolution), to logits, (n, c).
            mean: subtracted from pixels scaled to 0..1, per channel.
            std: what they are divided by then, per channel.
            resolution: side of the network's input, in pixels.
            crop: how the centre is cut out; a number is the share of the sides that is kept, before that is resized,
                bilinear and antialiased, as the runs of this project do it.
        """
        super().__init__()
        self.network = network
        self.resolution = resolution
        self.crop = crop
        self.register_buffer("mean", torch.tensor(mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, (n, c), of images, (n, 3, height, width), pixels scaled to 0..1."""
        if isinstance(self.crop, Crop):
            images = _cropped(images, self.crop, self.resolution)
        else:
            rows, columns = (centre(side, self.crop) for side in images.shape[2:])
            images = images[:, :, rows, columns]
        logits: Tensor = self.network(resize((images - self.mean) / self.std, self.resolution))
        return logits


def _cropped(images: Tensor, crop: Crop, resolution: int) -> Tensor:
    """Return the centres of images, (n, 3, resolution, resolution), after resizing their shorter side."""
    height, width = images.shape[2:]
    sides = [crop.side * side // min(height, width) for side in (height, width)]
    resized = interpolate(images, sides, mode=crop.mode, antialias=True, align_corners=False).clamp(0, 1)
    top, left = (round((side - resolution) / 2) for side in sides)
    return resized[:, :, top : top + resolution, left : left + resolution]
