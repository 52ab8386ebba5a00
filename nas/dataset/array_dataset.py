"""What data sets that are whole in memory have in common."""

from collections.abc import Mapping
from hashlib import sha256
from typing import TypedDict, Unpack

import numpy as np
import numpy.typing as npt

from nas.dataset.base import Augmentation, Dataset, Images
from nas.dataset.splits import Indices
from nas.dataset.summary import Channels, Std, channel_sums, channels, fingerprint, mean_and_std
from nas.types import PositiveInt


class ArrayOptions(TypedDict):
    """Settings that all data sets in memory have.

    Attributes:
        mean: Mean per channel of pixels scaled to 0..1; computed from the training images if ``None``.
        std: Standard deviation per channel; computed from the training images if ``None``.
        resolutions: Recommended sides of a network's input, in pixels.
        augmentation: Augmentation of training images.
    """

    mean: Channels | None
    std: Std | None
    resolutions: tuple[PositiveInt, ...]
    augmentation: Augmentation


class ArrayDataset(Dataset):
    """Images of one size in three splits, all in memory."""

    def __init__(
        self,
        *,
        pixels: npt.NDArray[np.uint8],
        labels: Indices,
        class_names: tuple[str, ...],
        splits: Mapping[str, Indices],
        **options: Unpack[ArrayOptions],
    ) -> None:
        """Take the images.

        Args:
            pixels: RGB, shape (n, 3, height, width).
            labels: Class indices, shape (n,).
            class_names: One a class.
            splits: Indices of images by split, disjoint.
            options: See :class:`ArrayOptions`.
        """
        self.class_names = class_names
        self._pixels, self._labels, self._splits = pixels, labels, splits
        train = pixels[splits["train"]]
        moments = mean_and_std(channel_sums(train), train[0, 0].size)
        self.mean, self.std = channels(options["mean"], moments[0]), channels(options["std"], moments[1])
        self.augmentation = options["augmentation"]
        self.resolutions = tuple(options["resolutions"])
        self.fingerprint = fingerprint(sha256(pixels.data).hexdigest(), labels, splits)

    def split(self, name: str) -> Images:
        """Return the images of the split ``"train"``, ``"validation"`` or ``"test"``, in memory."""
        rows = self._splits[name]
        return Images(pixels=self._pixels[rows], labels=self._labels[rows])

    def size(self, name: str) -> int:
        """Return how many images a split has."""
        return len(self._splits[name])
