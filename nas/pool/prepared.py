"""Networks of a pool with their preprocessing included, so that all of them take the same images."""

from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from nas.dataset.batches import centre, resize


@dataclass(frozen=True)
class Crop:
    """Center crop of an image after resizing.

    Attributes:
        mode: Interpolation mode of the resizing.
        side: Shorter side of the resized image, in pixels.
    """

    mode: Literal["bilinear", "bicubic"]
    side: int


@final
class Prepared(nn.Module):
    """Network that resizes and normalizes its images itself.

    Attributes:
        network: Network that maps normalized images, (n, 3, resolution, resolution), to logits, (n, c).
        resolution, crop: Values given to the constructor.
        mean, std: Mean and standard deviation per channel, shape (3, 1, 1).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from nas.pool.prepared import Prepared
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5))
        >>> prepared = Prepared(network, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), resolution=8, crop=0.875)
        >>> prepared(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 5])
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
        """Put preprocessing in front of a network.

        Args:
            network: Network that maps normalized images, (n, 3, resolution, resolution), to logits, (n, c).
            mean: Mean that is subtracted from pixels scaled to 0..1, per channel.
            std: Standard deviation by which the difference is divided, per channel.
            resolution: Side of the network's input, in pixels.
            crop: Center crop. A number is the fraction of the sides that is kept; the cropped image is then resized,
                bilinear and antialiased, as in the runs of this project.
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
        """Return logits, (n, c), of images, (n, 3, height, width), with pixels scaled to 0..1."""
        if isinstance(self.crop, Crop):
            images = _cropped(images, self.crop, self.resolution)
        else:
            rows, columns = (centre(side, self.crop) for side in images.shape[2:])
            images = images[:, :, rows, columns]
        logits: Tensor = self.network(resize((images - self.mean) / self.std, self.resolution))
        return logits


def _cropped(images: Tensor, crop: Crop, resolution: int) -> Tensor:
    """Return center crops, (n, 3, resolution, resolution), of images whose shorter side is first resized."""
    height, width = images.shape[2:]
    sides = [crop.side * side // min(height, width) for side in (height, width)]
    resized = interpolate(images, sides, mode=crop.mode, antialias=True, align_corners=False).clamp(0, 1)
    top, left = (round((side - resolution) / 2) for side in sides)
    return resized[:, :, top : top + resolution, left : left + resolution]
