"""Batches of tensors from a split: normalised, resized, shuffled, augmented."""

from collections import OrderedDict
from collections.abc import Iterator
from itertools import pairwise
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from nas.dataset.base import Augmentation, Images
from nas.errors import UserError
from nas.types import NonNegativeInt, PositiveInt

CHUNK_BYTES = 2**26  # of float pixels that are normalised and resized at once
FLOAT_BYTES = 4


def resize(images: Tensor, resolution: int) -> Tensor:
    """Resize (n, 3, height, width) to (n, 3, resolution, resolution): bilinear, antialiased.

    The result lies in memory with the channels last, which makes convolutions on the CPU about twice as fast.
    """
    if images.shape[2:] != (resolution, resolution):
        images = interpolate(images, (resolution, resolution), mode="bilinear", antialias=True, align_corners=False)
    return images.contiguous(memory_format=torch.channels_last)


@final
class Batches:
    """One split on one device."""

    def __init__(
        self,
        *,
        images: Images,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        device: torch.device | str,
        cache_bytes: NonNegativeInt,
    ) -> None:
        """Wrap a split.

        Args:
            images: the split; its pixels may be memory-mapped.
            mean: subtracted from pixels scaled to 0..1, per channel.
            std: what they are divided by then, per channel.
            device: where batches lie.
            cache_bytes: most that resized splits may take there; the least recently used one goes first, and a
                split that is larger alone is resized anew each time.
        """
        self._images = images
        self._device = torch.device(device)
        self._mean = torch.tensor(mean, device=self._device).reshape(3, 1, 1)
        self._std = torch.tensor(std, device=self._device).reshape(3, 1, 1)
        self._labels = torch.from_numpy(np.array(images.labels)).to(self._device)
        self._cache_bytes = cache_bytes
        self._cache: OrderedDict[int, Tensor] = OrderedDict()

    def __len__(self) -> int:
        return len(self._images)

    def at(self, resolution: PositiveInt) -> Tensor:
        """Return the whole split, normalised, shape (n, 3, resolution, resolution); not to be changed."""
        if resolution in self._cache:
            self._cache.move_to_end(resolution)
            return self._cache[resolution]
        chunk = max(1, CHUNK_BYTES // (FLOAT_BYTES * int(np.prod(self._images.pixels.shape[1:]))))
        shape = (len(self), 3, resolution, resolution)
        result = torch.empty(shape, device=self._device, memory_format=torch.channels_last)
        for start in range(0, len(self), chunk):
            part = slice(start, start + chunk)
            result[part] = resize(self._normalised(part), resolution)
        if self._bytes(resolution) <= self._cache_bytes:
            self._cache[resolution] = result
            while sum(map(self._bytes, self._cache)) > self._cache_bytes:
                self._cache.popitem(last=False)
        return result

    def sequential(self, resolution: PositiveInt, batch_size: PositiveInt) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images, (b, 3, resolution, resolution), and labels, (b,), in the split's order.

        All batches have ``batch_size`` images or up to twice as many; fewer only where the split has fewer.
        """
        cached = self.at(resolution) if self._bytes(resolution) <= self._cache_bytes else None
        for part in _parts(len(self), batch_size):
            images = resize(self._normalised(part), resolution) if cached is None else cached[part]
            yield images, self._labels[part]

    def shuffled(
        self, batch_size: PositiveInt, augmentation: Augmentation, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield augmented images, (b, 3, height, width), and labels, (b,), for one epoch in random order.

        The last incomplete batch is dropped; a split smaller than ``batch_size`` is one batch.

        Args:
            batch_size: images a batch.
            augmentation: what images go through.
            generator: on the CPU; the only source of randomness.

        Raises:
            UserError: if batches would have fewer than two images, which batch-norm cannot be trained on.
        """
        size = min(batch_size, len(self))
        if size < 2:
            raise UserError(f"training needs batches of 2 images or more: batch_size {batch_size}, images {len(self)}")
        order = torch.randperm(len(self), generator=generator)
        for start in range(0, len(self) - size + 1, size):
            chosen = order[start : start + size]
            images = augment(self._normalised(chosen.numpy()), augmentation, -self._mean / self._std, generator)
            yield images, self._labels[chosen.to(self._device)]

    def n_shuffled(self, batch_size: PositiveInt) -> int:
        """Return how many batches ``shuffled`` yields."""
        return max(1, len(self) // batch_size)

    def _normalised(self, part: slice | npt.NDArray[np.int64]) -> Tensor:
        pixels = torch.from_numpy(np.array(self._images.pixels[part])).to(self._device)
        return (pixels.float() / 255 - self._mean) / self._std

    def _bytes(self, resolution: int) -> int:
        return len(self) * 3 * resolution**2 * FLOAT_BYTES


def augment(images: Tensor, augmentation: Augmentation, black: Tensor, generator: torch.Generator) -> Tensor:
    """Shift, mirror and blank out parts of images, each image in its own way.

    Args:
        images: normalised, shape (n, 3, height, width).
        augmentation: how much.
        black: the normalised value of black pixels, shape (3, 1, 1); fills what a shift uncovers.
        generator: on the CPU, so that all devices see the same changes.

    Returns:
        New images of the same shape; what is cut out is 0, the mean colour.
    """
    n, _, height, width = images.shape
    device = images.device
    rows = torch.arange(height, device=device) + _offsets(n, augmentation.shift, height, generator).to(device)
    columns = torch.arange(width, device=device) + _offsets(n, augmentation.shift, width, generator).to(device)
    if augmentation.flip:
        mirrored = torch.randint(2, (n, 1), generator=generator).bool().to(device)
        columns = torch.where(mirrored, columns.flip(1), columns)
    inside = _inside(rows, height)[:, :, None] & _inside(columns, width)[:, None, :]
    index = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None, :]
    moved = images.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, 3, -1)).reshape(images.shape)
    result = torch.where(inside[:, None], moved, black)
    if augmentation.cutout > 0:
        hole = _hole(n, augmentation.cutout, height, generator)[:, :, None]
        hole = hole & _hole(n, augmentation.cutout, width, generator)[:, None, :]
        result = result.masked_fill(hole[:, None].to(device), 0.0)
    return result


def _parts(n: int, size: int) -> list[slice]:
    """Split ``range(n)`` into almost equal parts of at least ``size``."""
    edges = np.linspace(0, n, max(1, n // size) + 1).astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(edges)]


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
