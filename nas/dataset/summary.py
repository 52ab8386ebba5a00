"""What is computed from the images of a data set: moments for normalisation and the fingerprint."""

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
    """Return each image's sum and sum of squares per channel, (n, 3, height, width) -> (n, 2, 3)."""
    squares = np.square(pixels, dtype=np.uint16)
    return np.stack([values.sum(axis=(2, 3), dtype=np.int64) for values in (pixels, squares)], axis=1)


def mean_and_std(sums: npt.NDArray[np.int64], pixels_per_image: int) -> tuple[Channels, Channels]:
    """Return the mean and standard deviation per channel of pixels scaled to 0..1, rounded to 6 digits.

    The standard deviation of a channel that is constant is given as 1, so that it can be divided by.

    Args:
        sums: Sums of the images, from ``channel_sums``, shape (n, 2, 3), n at least 1.
        pixels_per_image: Height times width.
    """
    first, second = sums.sum(axis=0) / (len(sums) * pixels_per_image)
    mean = first / 255
    std = np.sqrt(np.maximum(second / 255**2 - mean**2, 0)).round(6)
    return _channels(mean.round(6)), _channels(np.where(std > 0, std, 1.0))


def fingerprint(pixel_digest: str, labels: Indices, splits: Mapping[str, Indices]) -> str:
    """Return the SHA-256 of a data set, as hexadecimal digits.

    Args:
        pixel_digest: Hash of the pixels.
        labels: Class indices, shape (n,).
        splits: Indices by split.
    """
    digest = sha256(pixel_digest.encode())
    for name, values in [("labels", labels), *sorted(splits.items())]:
        digest.update(f"{name} {len(values)} ".encode())
        digest.update(np.ascontiguousarray(values, dtype="<i8").data)
    return digest.hexdigest()


def channels(given: Channels | None, computed: Channels) -> Channels:
    """Return what a setting gives, which arrives as a list, or what was computed."""
    red, green, blue = given or computed
    return red, green, blue


def file_digest(root: Path, paths: Sequence[str]) -> str:
    """Return the SHA-256 of files' names and sizes, as hexadecimal digits: for files too many to read."""
    digest = sha256()
    for path in paths:
        digest.update(f"{path}\0{(root / path).stat().st_size}\0".encode())
    return digest.hexdigest()


def _channels(values: npt.NDArray[np.float64]) -> Channels:
    red, green, blue = values.tolist()
    return red, green, blue
