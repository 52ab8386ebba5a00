"""Data sets of small images that torchvision provides as arrays: CIFAR-10, CIFAR-100 and STL-10."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Unpack, final

import numpy as np

from nas.dataset.array_dataset import ArrayDataset, ArrayOptions
from nas.dataset.decoding import Pixels
from nas.dataset.splits import Indices, stratified
from nas.dataset.torchvision_source import open_parts
from nas.files import expanded
from nas.types import NonNegativeInt, PositiveInt

SOURCES: Mapping[str, tuple[str, Mapping[str, Mapping[str, Any]]]] = {
    "cifar10": ("CIFAR10", {"train": {"train": True}, "test": {"train": False}}),
    "cifar100": ("CIFAR100", {"train": {"train": True}, "test": {"train": False}}),
    "stl10": ("STL10", {"train": {"split": "train"}, "test": {"split": "test"}}),
}
"""torchvision's class of each data set, and its arguments for the training images and the test images."""


@final
class TorchvisionArrays(ArrayDataset):
    """CIFAR-10, CIFAR-100 or STL-10, in memory.

    CIFAR-10 and CIFAR-100: Krizhevsky, *Learning multiple layers of features from tiny images*, 2009. STL-10: Coates
    et al., AISTATS 2011; only its labeled images are used.

    Example:
        >>> from nas.dataset.base import Augmentation
        >>> from nas.dataset.torchvision_arrays import TorchvisionArrays
        >>> options = {"mean": None, "std": None, "resolutions": (32,),
        ...            "augmentation": Augmentation(shift=0.125, flip=True, cutout=0.5)}
        >>> TorchvisionArrays(name="cifar10", path="absent", download=False, vld_size=10000, **options)
        Traceback (most recent call last):
        nas.errors.UserError: dataset.path: 'absent' does not hold CIFAR10 ...
    """

    def __init__(
        self,
        *,
        name: Literal["cifar10", "cifar100", "stl10"],
        path: Path,
        download: bool = True,
        vld_size: PositiveInt,
        split_seed: NonNegativeInt = 0,
        **options: Unpack[ArrayOptions],
    ) -> None:
        """Read the images into memory; download missing files first.

        Args:
            name: Name of the data set: "cifar10", "cifar100" or "stl10".
            path: Folder that contains the data set's own folder, as torchvision expects it.
            download: Whether to download missing files.
            vld_size: Number of validation images, drawn from the training images.
            split_seed: Seed of the random split, independent of the run's seed so that all runs see the same data.
            options: Further settings, see :class:`ArrayOptions`.

        Raises:
            UserError: If the files are absent or damaged and cannot be downloaded, or the split is impossible.
        """
        source, arguments = SOURCES[name]
        parts = open_parts(source, expanded(path, "dataset.path"), arguments, download)
        pixels, labels = zip(*(_arrays(parts[part]) for part in ("train", "test")), strict=True)
        names = tuple(parts["train"].classes)
        splits = stratified(labels[0], names, {"validation": vld_size}, split_seed)
        splits["test"] = np.arange(len(labels[0]), len(labels[0]) + len(labels[1]))
        whole = {"pixels": np.concatenate(pixels), "labels": np.concatenate(labels)}
        super().__init__(**whole, class_names=names, splits=splits, **options)


def _arrays(part: Any) -> tuple[Pixels, Indices]:
    """Return pixels, (n, 3, height, width), and labels, (n,), of a torchvision data set."""
    pixels = np.asarray(part.data, dtype=np.uint8)
    if pixels.shape[-1] == 3:  # CIFAR's channels are last
        pixels = pixels.transpose(0, 3, 1, 2)
    labels = part.targets if hasattr(part, "targets") else part.labels
    return np.ascontiguousarray(pixels), np.asarray(labels, dtype=np.int64)
