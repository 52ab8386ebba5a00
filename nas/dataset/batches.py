"""Batches of tensors from a split: normalised and resized."""

from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar, final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from nas.dataset.base import Images
from nas.types import NonNegativeInt, PositiveInt, Probability

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
class Normalise:
    """Pixels to tensors with zero mean and unit variance, on a device.

    Attributes:
        black: The value of black pixels, shape (3, 1, 1).
    """

    def __init__(
        self, *, mean: tuple[float, float, float], std: tuple[float, float, float], device: torch.device | str
    ) -> None:
        """Take what is subtracted from pixels scaled to 0..1, what they are divided by then, and where."""
        self._mean = torch.tensor(mean, device=device).reshape(3, 1, 1)
        self._std = torch.tensor(std, device=device).reshape(3, 1, 1)
        self.black = -self._mean / self._std

    def __call__(self, pixels: Tensor) -> Tensor:
        """Normalise uint8 pixels, (n, 3, height, width)."""
        return (pixels.to(self._mean.device, non_blocking=True).float() / 255 - self._mean) / self._std


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
        crop: Probability,
        cache_bytes: NonNegativeInt,
    ) -> None:
        """Wrap a split.

        Args:
            images: The split; its pixels may be read from files each time.
            mean: Subtracted from pixels scaled to 0..1, per channel.
            std: Divisor of the pixels after the mean is subtracted, per channel.
            device: Torch device of the batches.
            crop: Share of the images' sides that is kept, in the center, before they are resized.
            cache_bytes: Most that resized splits may take there; the least recently used one goes first, and a
                split that is larger alone is resized anew each time.
        """
        self._images = images
        self._device = torch.device(device)
        self._normalise = Normalise(mean=mean, std=std, device=device)
        self._labels = torch.from_numpy(np.array(images.labels)).to(self._device)
        self._rows, self._columns = (centre(side, crop) for side in images.pixels.shape[2:])
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
            result[part] = resize(self._normalise(self._read(part)), resolution)
        if self._bytes(resolution) <= self._cache_bytes:
            self._cache[resolution] = result
            while sum(map(self._bytes, self._cache)) > self._cache_bytes:
                self._cache.popitem(last=False)
        return result

    def sequential(self, resolution: PositiveInt, batch_size: PositiveInt) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images, (b, 3, resolution, resolution), and labels, (b,), in the split's order.

        All batches have ``batch_size`` images or up to twice as many; fewer only where the split has fewer.
        """
        parts = _parts(len(self), batch_size)
        if self._bytes(resolution) <= self._cache_bytes:
            whole = self.at(resolution)
            yield from ((whole[part], self._labels[part]) for part in parts)
            return
        read: Iterator[Tensor] = map(self._read, parts)
        if self._device.type == "cuda":
            read = ahead(read)  # while the GPU is busy with the last batch
        for part, pixels in zip(parts, read, strict=True):
            yield resize(self._normalise(pixels), resolution), self._labels[part]

    def _read(self, part: slice) -> Tensor:
        """Return uint8 pixels, in memory that a GPU can copy by itself where there is one."""
        pixels = torch.from_numpy(np.array(self._images.pixels[part][:, :, self._rows, self._columns]))
        return pixels.pin_memory() if self._device.type == "cuda" else pixels

    def _bytes(self, resolution: int) -> int:
        return len(self) * 3 * resolution**2 * FLOAT_BYTES


def _parts(n: int, size: int) -> list[slice]:
    """Split ``range(n)`` into almost equal parts of at least ``size``."""
    edges = np.linspace(0, n, max(1, n // size) + 1).astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(edges)]


def centre(side: int, share: float) -> slice:
    """Return the middle of a side, one pixel at least."""
    length = max(1, round(share * side))
    start = (side - length) // 2
    return slice(start, start + length)


T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items, in their order, and make the next one in a thread meanwhile."""
    end = object()
    with ThreadPoolExecutor(1) as worker:
        waiting = worker.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = worker.submit(next, items, end)
            yield item  # type: ignore[misc]
