"""Base class for data sets whose images are in memory."""

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
    """Settings of data sets whose images are in memory.

    Attributes:
        mean: Mean per channel of pixels scaled to 0..1; ``None`` to compute it from the training images.
        std: Standard deviation per channel of pixels scaled to 0..1; ``None`` to compute it from the training images.
        resolutions: Recommended sides of a network's square input, in pixels.
        augmentation: Augmentation of training images.
    """

    mean: Channels | None
    std: Std | None
    resolutions: tuple[PositiveInt, ...]
    augmentation: Augmentation


class ArrayDataset(Dataset):
    """Base class for data sets whose images have one size and are in memory.

    Example:
        >>> import numpy as np
        >>> from nas.dataset.array_dataset import ArrayDataset
        >>> from nas.dataset.base import Augmentation
        >>> noise = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8)).astype(np.uint8)
        >>> splits = {"train": np.arange(4), "validation": np.array([4]), "test": np.array([5])}
        >>> images = {"pixels": noise, "labels": np.arange(6) % 2, "class_names": ("a", "b"), "splits": splits}
        >>> augmentation = Augmentation(shift=0.0, flip=False, cutout=0.0)
        >>> ArrayDataset(**images, mean=None, std=None, resolutions=(8,), augmentation=augmentation).sizes()
        {'classes': 2, 'train': 4, 'validation': 1, 'test': 1}
    """

    def __init__(
        self,
        *,
        pixels: npt.NDArray[np.uint8],
        labels: Indices,
        class_names: tuple[str, ...],
        splits: Mapping[str, Indices],
        **options: Unpack[ArrayOptions],
    ) -> None:
        """Store the images and compute their mean, standard deviation and fingerprint.

        Args:
            pixels: RGB pixels, shape (n, 3, height, width), uint8.
            labels: Class indices, shape (n,).
            class_names: Names of the classes, one for each label.
            splits: Indices of the images of each split, by name; disjoint.
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
        """Return the images of the split ``"train"``, ``"validation"`` or ``"test"``."""
        rows = self._splits[name]
        return Images(pixels=self._pixels[rows], labels=self._labels[rows])

    def size(self, name: str) -> int:
        """Return the number of images in a split."""
        return len(self._splits[name])
