"""Random changes of whole batches, each image in its own way."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from nas.dataset.base import Augmentation
from nas.types import Floats


def augment(images: Tensor, augmentation: Augmentation, black: Tensor, generator: torch.Generator) -> Tensor:
    """Shift, mirror and blank out parts of images, each image in its own way.

    Args:
        images: Normalized, shape (n, 3, height, width).
        augmentation: Augmentation to apply.
        black: The normalized value of black pixels, shape (3, 1, 1); fills what a shift uncovers.
        generator: On the CPU, so that all devices see the same changes.

    Returns:
        New images of the same shape; what is cut out is 0, the mean color.
    """
    n, _, height, width = images.shape
    device = images.device
    rows = torch.arange(height, device=device) + _sent(_offsets(n, augmentation.shift, height, generator), device)
    columns = torch.arange(width, device=device) + _sent(_offsets(n, augmentation.shift, width, generator), device)
    if augmentation.flip:
        mirrored = _sent(torch.randint(2, (n, 1), generator=generator).bool(), device)
        columns = torch.where(mirrored, columns.flip(1), columns)
    inside = _inside(rows, height)[:, :, None] & _inside(columns, width)[:, None, :]
    index = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None, :]
    moved = images.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, 3, -1)).reshape(images.shape)
    result = torch.where(inside[:, None], moved, black)
    if augmentation.cutout > 0:
        hole = _hole(n, augmentation.cutout, height, generator)[:, :, None]
        hole = hole & _hole(n, augmentation.cutout, width, generator)[:, None, :]
        result = result.masked_fill(_sent(hole[:, None], device), 0.0)
    return result


def cut_mix(
    images: Tensor, labels: Tensor, n_classes: int, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of another image of the batch into some images (CutMix, Yun et al., ICCV 2019, equation 1).

    Args:
        images: Shape (n, 3, height, width).
        labels: Labels of the images, shape (n,).
        n_classes: Number of classes.
        augmentation: ``cutmix`` and ``cutmix_probability``, of each image.
        rng: Decides images, rectangles and what they come from.

    Returns:
        New images, and the shares of their classes, (n, n_classes).
    """
    n, _, height, width = images.shape
    device = images.device
    chosen = rng.random(n) < (1.0 if augmentation.cutmix_probability is None else augmentation.cutmix_probability)
    share = np.sqrt(1 - rng.beta(augmentation.cutmix, augmentation.cutmix, n)) * chosen
    partner = torch.from_numpy(rng.integers(n, size=n)).to(device)
    rows, columns = (_stretch(share, side, rng).to(device) for side in (height, width))
    inside = rows[:, :, None] & columns[:, None, :]
    own = one_hot(labels, n_classes).float()
    pasted = inside.float().mean(dim=(1, 2))[:, None]
    return torch.where(inside[:, None], images[partner], images), torch.lerp(own, own[partner], pasted)


def _stretch(share: Floats, side: int, rng: np.random.Generator) -> Tensor:
    """Draw where stretches of these shares of the side lie, centred on any pixel; mask of shape (n, side)."""
    half = torch.from_numpy((share * side).astype(np.int64) // 2)[:, None]
    centre = torch.from_numpy(rng.integers(side, size=(len(share), 1)))
    place = torch.arange(side)
    return (place >= centre - half) & (place < centre + half)


def _sent(drawn: Tensor, device: torch.device) -> Tensor:
    """Copy what was drawn to the device; a GPU goes on computing meanwhile."""
    return drawn.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else drawn


def _offsets(n: int, share: float, side: int, generator: torch.Generator) -> Tensor:
    """Draw ``n`` shifts of up to ``share`` of the side, pixels, shape (n, 1)."""
    most = round(share * side)
    return torch.randint(-most, most + 1, (n, 1), generator=generator)


def _inside(index: Tensor, side: int) -> Tensor:
    return (index >= 0) & (index < side)


def _hole(n: int, share: float, side: int, generator: torch.Generator) -> Tensor:
    """Draw where a stretch of ``share`` of the side lies, centred on any pixel; mask of shape (n, side)."""
    length = round(share * side)
    start = torch.randint(side, (n, 1), generator=generator) - length // 2
    place = torch.arange(side)
    return (place >= start) & (place < start + length)
