"""Random erasing with noise (Zhong et al., AAAI 2020), a batch at a time; timm's mode ``pixel``."""

import numpy as np
import torch
from torch import Tensor

AREA = (0.02, 1 / 3)
"""Least and largest share of an image's area that a rectangle has."""
RATIO = 1 / 0.3
"""Largest height over width of a rectangle, and width over height."""
ATTEMPTS = 10
"""Rectangles that are drawn for an image until one fits into it."""


def erase(images: Tensor, probability: float, part: slice, n: int, rng: np.random.Generator) -> Tensor:
    """Fill a random rectangle of some images with normal noise.

    Args:
        images: Normalized, shape (b, 3, height, width): some images of a batch.
        probability: Probability for each image.
        part: Which of the batch's images they are.
        n: Images of the whole batch; all processes that share a batch draw the same rectangles and noise.
        rng: Decides images, rectangles and noise.

    Returns:
        The changed images; ``images`` themselves where ``probability`` is 0.
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
    """Draw a rectangle for each image: top, left, height and width in pixels, (n,) each; 0 where none fits."""
    area = height * width * rng.uniform(*AREA, (n, ATTEMPTS))
    ratio = np.exp(rng.uniform(-np.log(RATIO), np.log(RATIO), (n, ATTEMPTS)))
    tall = np.rint(np.sqrt(area * ratio)).astype(np.int64)
    wide = np.rint(np.sqrt(area / ratio)).astype(np.int64)
    fits = (tall < height) & (wide < width)
    first = fits.argmax(axis=1)[:, None]
    tall, wide = (np.where(fits.any(axis=1), np.take_along_axis(side, first, 1)[:, 0], 0) for side in (tall, wide))
    return rng.integers(height - tall + 1), rng.integers(width - wide + 1), tall, wide


def _stretch(start: np.ndarray, length: np.ndarray, side: int) -> np.ndarray:
    """Return which places of a side lie in stretches, (n, side)."""
    place = np.arange(side)
    inside: np.ndarray = (place >= start[:, None]) & (place < (start + length)[:, None])
    return inside
