"""Summaries of a data set: mean and standard deviation for normalization, and the fingerprint."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nas.dataset.splits import Indices
from nas.types import PositiveFloat

Channels = tuple[float, float, float]
Std = tuple[PositiveFloat, PositiveFloat, PositiveFloat]


def channel_sums(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return each image's sum and sum of squares per channel, (n, 3, height, width) -> (n, 2, 3).

    Example:
        >>> import numpy as np
        >>> from nas.dataset.summary import channel_sums, mean_and_std
        >>> mean_and_std(channel_sums(np.full((2, 3, 4, 4), 51, dtype=np.uint8)), pixels_per_image=16)
        ((0.2, 0.2, 0.2), (1.0, 1.0, 1.0))
    """
    squares = np.square(pixels, dtype=np.uint16)
    return np.stack([values.sum(axis=(2, 3), dtype=np.int64) for values in (pixels, squares)], axis=1)


def mean_and_std(sums: npt.NDArray[np.int64], pixels_per_image: int) -> tuple[Channels, Channels]:
    """Return the mean and standard deviation per channel of pixels scaled to 0..1, rounded to 6 digits.

    The standard deviation of a constant channel is returned as 1, so that images can be divided by it.

    Args:
        sums: Sums of the images from :func:`channel_sums`, shape (n, 2, 3), n at least 1.
        pixels_per_image: Number of pixels of an image, height times width.
    """
    first, second = sums.sum(axis=0) / (len(sums) * pixels_per_image)
    mean = first / 255
    std = np.sqrt(np.maximum(second / 255**2 - mean**2, 0)).round(6)
    return _channels(mean.round(6)), _channels(np.where(std > 0, std, 1.0))


def fingerprint(pixel_digest: str, labels: Indices, splits: Mapping[str, Indices]) -> str:
    """Return the SHA-256 of a data set, as hexadecimal digits.

    Args:
        pixel_digest: Digest of the pixels.
        labels: Class indices, shape (n,).
        splits: Indices of the images of each split, by name.
    """
    digest = sha256(pixel_digest.encode())
    for name, values in [("labels", labels), *sorted(splits.items())]:
        digest.update(f"{name} {len(values)} ".encode())
        digest.update(np.ascontiguousarray(values, dtype="<i8").data)
    return digest.hexdigest()


def channels(given: Channels | None, computed: Channels) -> Channels:
    """Return the values of a setting, which may be a list, as a tuple; the computed values if it is ``None``."""
    red, green, blue = given or computed
    return red, green, blue


def file_digest(root: Path, paths: Sequence[str]) -> str:
    """Return the SHA-256 of the files' names and sizes, as hexadecimal digits, without reading the files."""
    digest = sha256()
    for path in paths:
        digest.update(f"{path}\0{(root / path).stat().st_size}\0".encode())
    return digest.hexdigest()


def _channels(values: npt.NDArray[np.float64]) -> Channels:
    red, green, blue = values.tolist()
    return red, green, blue
