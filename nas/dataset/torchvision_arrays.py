"""Data sets of small images that come as arrays: CIFAR-10, CIFAR-100 and STL-10."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from nas.dataset.base import Augmentation, Dataset, Images
from nas.dataset.decoding import Pixels
from nas.dataset.splits import Indices, stratified
from nas.dataset.summary import Channels, Std, channel_sums, channels, fingerprint, mean_and_std
from nas.dataset.torchvision_source import open_parts
from nas.files import expanded
from nas.types import NonNegativeInt, PositiveInt

SOURCES: Mapping[str, tuple[str, Mapping[str, Mapping[str, Any]]]] = {
    "cifar10": ("CIFAR10", {"train": {"train": True}, "test": {"train": False}}),
    "cifar100": ("CIFAR100", {"train": {"train": True}, "test": {"train": False}}),
    "stl10": ("STL10", {"train": {"split": "train"}, "test": {"split": "test"}}),
}
"""torchvision's class, and its arguments for the images for training and for testing."""


@final
class TorchvisionArrays(Dataset):
    """Images of one size, all in memory.

    CIFAR-10 and CIFAR-100: Krizhevsky, *Learning multiple layers of features from tiny images*, 2009; STL-10: Coates
    et al., AISTATS 2011, its labelled images.
    """

    def __init__(
        self,
        *,
        name: Literal["cifar10", "cifar100", "stl10"],
        path: Path,
        download: bool,
        vld_size: PositiveInt,
        split_seed: NonNegativeInt,
        mean: Channels | None,
        std: Std | None,
        resolutions: tuple[PositiveInt, ...],
        augmentation: Augmentation,
    ) -> None:
        """Read the images, downloading them if needed.

        Args:
            name: which data set.
            path: the folder that holds the data set's own folder, as torchvision expects it.
            download: whether to download what is absent.
            vld_size: number of validation images, which are taken from the training images.
            split_seed: of the random split; independent of the run's seed, so that all runs see the same data.
            mean: per channel of pixels scaled to 0..1; computed from the training images if ``None``.
            std: likewise.
            resolutions: recommended sides of a network's input, in pixels.
            augmentation: what training images go through.

        Raises:
            UserError: if the files are absent or damaged and cannot be downloaded, or the split is impossible.
        """
        source, arguments = SOURCES[name]
        parts = open_parts(source, expanded(path, "dataset.path"), arguments, download)
        pixels, labels = zip(*(_arrays(parts[part]) for part in ("train", "test")), strict=True)
        self.class_names = tuple(parts["train"].classes)
        self._splits = stratified(labels[0], self.class_names, {"validation": vld_size}, split_seed)
        self._splits["test"] = np.arange(len(labels[0]), len(labels[0]) + len(labels[1]))
        self._pixels, self._labels = np.concatenate(pixels), np.concatenate(labels)
        train = self._pixels[self._splits["train"]]
        moments = mean_and_std(channel_sums(train), train[0, 0].size)
        self.mean, self.std = channels(mean, moments[0]), channels(std, moments[1])
        self.augmentation = augmentation
        self.resolutions = tuple(resolutions)
        self.fingerprint = fingerprint(sha256(self._pixels.data).hexdigest(), self._labels, self._splits)

    def split(self, name: str) -> Images:
        """Return the images of the split ``"train"``, ``"validation"`` or ``"test"``, in memory."""
        rows = self._splits[name]
        return Images(pixels=self._pixels[rows], labels=self._labels[rows])

    def size(self, name: str) -> int:
        """Return how many images a split has."""
        return len(self._splits[name])


def _arrays(part: Any) -> tuple[Pixels, Indices]:
    """Return pixels, (n, 3, height, width), and labels, (n,), of one of torchvision's objects."""
    pixels = np.asarray(part.data, dtype=np.uint8)
    if pixels.shape[-1] == 3:  # CIFAR has the channels last
        pixels = pixels.transpose(0, 3, 1, 2)
    labels = part.targets if hasattr(part, "targets") else part.labels
    return np.ascontiguousarray(pixels), np.asarray(labels, dtype=np.int64)
