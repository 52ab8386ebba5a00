"""Batches of a split as normalized and resized tensors."""

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

CHUNK_BYTES = 2**26  # size of the float pixels that are normalized and resized at once
FLOAT_BYTES = 4


def resize(images: Tensor, resolution: int) -> Tensor:
    """Resize images, (n, 3, height, width), to (n, 3, resolution, resolution): bilinear with antialiasing.

    The result has torch's memory format ``channels_last``, which makes convolutions on the CPU about twice as fast.

    Example:
        >>> import torch
        >>> from nas.dataset.batches import resize
        >>> resize(torch.zeros(2, 3, 32, 24), 16).shape
        torch.Size([2, 3, 16, 16])
    """
    if images.shape[2:] != (resolution, resolution):
        images = interpolate(images, (resolution, resolution), mode="bilinear", antialias=True, align_corners=False)
    return images.contiguous(memory_format=torch.channels_last)


@final
class Normalise:
    """Normalization of uint8 pixels to zero mean and unit variance, on a device.

    Attributes:
        black: Normalized value of black pixels, shape (3, 1, 1).

    Example:
        >>> import torch
        >>> from nas.dataset.batches import Normalise
        >>> normalize = Normalise(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), device="cpu")
        >>> normalize(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)).flatten()
        tensor([2., 2., 2.])
    """

    def __init__(
        self, *, mean: tuple[float, float, float], std: tuple[float, float, float], device: torch.device | str
    ) -> None:
        """Copy the mean and the standard deviation to the device.

        Args:
            mean: Mean per channel of pixels scaled to 0..1; it is subtracted first.
            std: Standard deviation per channel of pixels scaled to 0..1; the difference is divided by it.
            device: Torch device of the normalized images.
        """
        self._mean = torch.tensor(mean, device=device).reshape(3, 1, 1)
        self._std = torch.tensor(std, device=device).reshape(3, 1, 1)
        self.black = -self._mean / self._std

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return normalized float32 images of uint8 pixels, both of shape (n, 3, height, width)."""
        return (pixels.to(self._mean.device, non_blocking=True).float() / 255 - self._mean) / self._std


@final
class Batches:
    """Images and labels of one split on one device, with a cache of resized images.

    Example:
        >>> import numpy as np
        >>> from nas.dataset.base import Images
        >>> from nas.dataset.batches import Batches
        >>> images = Images(np.zeros((5, 3, 8, 8), dtype=np.uint8), np.arange(5))
        >>> moments = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
        >>> batches = Batches(images=images, **moments, device="cpu", crop=1.0, cache_bytes=0)
        >>> [tuple(x.shape) for x, _ in batches.sequential(16, 2)]
        [(2, 3, 16, 16), (3, 3, 16, 16)]
    """

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
            images: Images of the split; their pixels may be read from files at each access.
            mean: Mean per channel of pixels scaled to 0..1.
            std: Standard deviation per channel of pixels scaled to 0..1.
            device: Torch device of the batches.
            crop: Side of the center crop before resizing, as a share of the image's side, 0 to 1.
            cache_bytes: Largest size of the cache of resized splits on the device, in bytes. The least recently used
                split is dropped first. A split that exceeds this size alone is resized at each access.
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
        """Return the whole normalized split, shape (n, 3, resolution, resolution).

        The result may be shared with the cache, so callers must not change it.
        """
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
        """Yield normalized images, (b, 3, resolution, resolution), and labels, (b,), in the order of the split.

        Each batch has at least ``batch_size`` and less than twice as many images. It has fewer only if the whole
        split has fewer.
        """
        parts = _parts(len(self), batch_size)
        if self._bytes(resolution) <= self._cache_bytes:
            whole = self.at(resolution)
            yield from ((whole[part], self._labels[part]) for part in parts)
            return
        read: Iterator[Tensor] = map(self._read, parts)
        if self._device.type == "cuda":
            read = ahead(read)  # read the next batch while the GPU computes on this one
        for part, pixels in zip(parts, read, strict=True):
            yield resize(self._normalise(pixels), resolution), self._labels[part]

    def _read(self, part: slice) -> Tensor:
        """Return uint8 pixels; in pinned memory if the device is a GPU."""
        pixels = torch.from_numpy(np.array(self._images.pixels[part][:, :, self._rows, self._columns]))
        return pixels.pin_memory() if self._device.type == "cuda" else pixels

    def _bytes(self, resolution: int) -> int:
        return len(self) * 3 * resolution**2 * FLOAT_BYTES


def _parts(n: int, size: int) -> list[slice]:
    """Split ``range(n)`` into almost equal parts of at least ``size``."""
    edges = np.linspace(0, n, max(1, n // size) + 1).astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(edges)]


def centre(side: int, share: float) -> slice:
    """Return the centered slice with this share of a side, at least one pixel."""
    length = max(1, round(share * side))
    start = (side - length) // 2
    return slice(start, start + length)


T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items in order, and compute the next one in a thread meanwhile."""
    end = object()
    with ThreadPoolExecutor(1) as worker:
        waiting = worker.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = worker.submit(next, items, end)
            yield item  # type: ignore[misc]
