"""Random erasing of whole batches with noise (Zhong et al., AAAI 2020), as timm's mode ``pixel``."""

import numpy as np
import torch
from torch import Tensor

AREA = (0.02, 1 / 3)
"""Smallest and largest area of a rectangle, as a share of the image's area."""
RATIO = 1 / 0.3
"""Largest ratio of a rectangle's longer side to its shorter side."""
ATTEMPTS = 10
"""Number of rectangles that are drawn for an image; the first one that fits is used."""


def erase(images: Tensor, probability: float, part: slice, n: int, rng: np.random.Generator) -> Tensor:
    """Fill a random rectangle of some images with normal noise.

    Args:
        images: Normalized images, shape (b, 3, height, width), this process's part of a batch.
        probability: Probability of a rectangle for each image, 0 to 1.
        part: Slice of the batch that ``images`` are.
        n: Number of images in the whole batch. All processes that share it draw the same rectangles and noise.
        rng: Random generator; it draws images, rectangles and noise.

    Returns:
        Changed images of the same shape; ``images`` itself if ``probability`` is 0.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> from nas.finetuning.erasing import erase
        >>> images = torch.zeros(4, 3, 16, 16)
        >>> erased = erase(images, 1.0, slice(0, 4), 4, np.random.default_rng(0))
        >>> erased.shape, (erased != 0).any(dim=(1, 2, 3)).tolist()
        (torch.Size([4, 3, 16, 16]), [True, True, True, True])
    """
    if probability == 0:
        return images
    height, width = images.shape[2:]
    chosen = rng.random(n) < probability
    top, left, tall, wide = _rectangles(n, height, width, rng)
    rows, columns = _stretch(top, tall, height), _stretch(left, wide, width)
    inside = torch.from_numpy(chosen[:, None, None] & rows[:, :, None] & columns[:, None, :]).to(images.device)
    generator = torch.Generator(images.device).manual_seed(int(rng.integers(2**63)))
    erased = torch.from_numpy(np.flatnonzero(chosen)).to(images.device)
    noise = torch.randn((len(erased), *images.shape[1:]), device=images.device, generator=generator)
    ours = (erased >= part.start) & (erased < part.stop)
    index = erased[ours] - part.start
    result = images.clone()
    result[index] = torch.where(inside[erased[ours]][:, None], noise[ours], images[index].float()).to(images.dtype)
    return result


def _rectangles(n: int, height: int, width: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Draw a rectangle for each image: top, left, height and width in pixels, (n,) each; size 0 if none fits."""
    area = height * width * rng.uniform(*AREA, (n, ATTEMPTS))
    ratio = np.exp(rng.uniform(-np.log(RATIO), np.log(RATIO), (n, ATTEMPTS)))
    tall = np.rint(np.sqrt(area * ratio)).astype(np.int64)
    wide = np.rint(np.sqrt(area / ratio)).astype(np.int64)
    fits = (tall < height) & (wide < width)
    first = fits.argmax(axis=1)[:, None]
    tall, wide = (np.where(fits.any(axis=1), np.take_along_axis(side, first, 1)[:, 0], 0) for side in (tall, wide))
    return rng.integers(height - tall + 1), rng.integers(width - wide + 1), tall, wide


def _stretch(start: np.ndarray, length: np.ndarray, side: int) -> np.ndarray:
    """Return the mask, (n, side), of the pixels of a side that are in each interval."""
    place = np.arange(side)
    inside: np.ndarray = (place >= start[:, None]) & (place < (start + length)[:, None])
    return inside
