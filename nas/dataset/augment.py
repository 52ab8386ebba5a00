"""Augmentation of whole batches on the device, with separate random numbers for each image."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from nas.dataset.base import Augmentation
from nas.types import Floats


def augment(images: Tensor, augmentation: Augmentation, black: Tensor, generator: torch.Generator) -> Tensor:
    """Apply shift, flip and cutout, with separate random numbers for each image.

    Args:
        images: Normalized images, shape (n, 3, height, width).
        augmentation: Augmentation to apply.
        black: Normalized value of black pixels, shape (3, 1, 1). It fills the pixels that a shift uncovers.
        generator: Random generator on the CPU, so that the changes are the same on all devices.

    Returns:
        New images of the same shape. Pixels that cutout blanks are 0, the mean color.

    Example:
        >>> import torch
        >>> from nas.dataset.augment import augment
        >>> from nas.dataset.base import Augmentation
        >>> images, black = torch.ones(2, 3, 8, 8), torch.full((3, 1, 1), -2.0)
        >>> cutout = Augmentation(shift=0.0, flip=False, cutout=1.0)
        >>> augment(images, cutout, black, torch.Generator().manual_seed(0)).unique()
        tensor([0., 1.])
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
        images: Images of a batch, shape (n, 3, height, width).
        labels: Labels of the images, shape (n,).
        n_classes: Number of classes.
        augmentation: Augmentation; its ``cutmix`` and ``cutmix_probability`` apply to each image.
        rng: Random generator; it draws the changed images, the rectangles and the images that they come from.

    Returns:
        New images, shape (n, 3, height, width), and the shares of their classes, shape (n, n_classes).

    Example:
        >>> import numpy as np
        >>> import torch
        >>> from nas.dataset.augment import cut_mix
        >>> from nas.dataset.base import Augmentation
        >>> augmentation = Augmentation(shift=0.0, flip=False, cutout=0.0, cutmix=1.0)
        >>> images, labels = torch.zeros(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
        >>> _, shares = cut_mix(images, labels, 3, augmentation, np.random.default_rng(0))
        >>> shares.shape, shares.sum(dim=1)
        (torch.Size([4, 3]), tensor([1., 1., 1., 1.]))
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
    """Draw intervals of these shares of the side, centered on random pixels; return a mask of shape (n, side)."""
    half = torch.from_numpy((share * side).astype(np.int64) // 2)[:, None]
    centre = torch.from_numpy(rng.integers(side, size=(len(share), 1)))
    place = torch.arange(side)
    return (place >= centre - half) & (place < centre + half)


def _sent(drawn: Tensor, device: torch.device) -> Tensor:
    """Copy random numbers to the device; the copy to a GPU does not block its computation."""
    return drawn.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else drawn


def _offsets(n: int, share: float, side: int, generator: torch.Generator) -> Tensor:
    """Draw ``n`` shifts of up to ``share`` of the side, in pixels, shape (n, 1)."""
    most = round(share * side)
    return torch.randint(-most, most + 1, (n, 1), generator=generator)


def _inside(index: Tensor, side: int) -> Tensor:
    return (index >= 0) & (index < side)


def _hole(n: int, share: float, side: int, generator: torch.Generator) -> Tensor:
    """Draw intervals of ``share`` of the side, centered on random pixels; return a mask of shape (n, side)."""
    length = round(share * side)
    start = torch.randint(side, (n, 1), generator=generator) - length // 2
    place = torch.arange(side)
    return (place >= start) & (place < start + length)
