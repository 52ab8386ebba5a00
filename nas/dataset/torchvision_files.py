"""Data sets of photos that torchvision provides as files: Aircraft, DTD, Pets and Flowers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Unpack, final

import numpy as np

from nas.dataset.file_dataset import FileDataset, FileOptions
from nas.dataset.listing import Listing, split_listing
from nas.dataset.torchvision_source import open_parts
from nas.files import expanded
from nas.types import NonNegativeInt, PositiveInt

SOURCES: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "aircraft": ("FGVCAircraft", ("trainval",), "_image_files"),
    "dtd": ("DTD", ("train", "val"), "_image_files"),
    "flowers102": ("Flowers102", ("train", "val"), "_image_files"),
    "pets": ("OxfordIIITPet", ("trainval",), "_images"),
}
"""torchvision's class of each data set, its parts besides the test set, and its attribute with the files."""


@final
class TorchvisionFiles(FileDataset):
    """FGVC-Aircraft, DTD, Oxford-IIIT Pets or Oxford Flowers 102: photos of different sizes, in files.

    The published training and validation parts are pooled and split again.

    Aircraft: Maji et al., 2013 (100 variants). DTD: Cimpoi et al., CVPR 2014 (its first partition). Pets: Parkhi et
    al., CVPR 2012 (37 breeds). Flowers: Nilsback and Zisserman, ICVGIP 2008.

    Example:
        >>> from nas.dataset.base import Augmentation
        >>> from nas.dataset.torchvision_files import TorchvisionFiles
        >>> options = {"size": 256, "storage": "files", "corrupt": "refuse", "mean": None, "std": None,
        ...            "resolutions": (224,), "cache": "cache",
        ...            "augmentation": Augmentation(shift=0.0, flip=True, cutout=0.0)}
        >>> TorchvisionFiles(name="pets", path="absent", download=False, vld_size=500, **options)
        Traceback (most recent call last):
        nas.errors.UserError: dataset.path: 'absent' does not hold OxfordIIITPet ...
    """

    def __init__(
        self,
        *,
        name: Literal["aircraft", "dtd", "flowers102", "pets"],
        path: Path,
        download: bool = True,
        vld_size: PositiveInt,
        split_seed: NonNegativeInt = 0,
        **options: Unpack[FileOptions],
    ) -> None:
        """List and split the files; download missing ones first.

        Args:
            name: Name of the data set: "aircraft", "dtd", "flowers102" or "pets".
            path: Folder that contains the data set's own folder, as torchvision expects it.
            download: Whether to download missing files.
            vld_size: Number of validation images, drawn from the published training and validation parts.
            split_seed: Seed of the random split, independent of the run's seed so that all runs see the same data.
            options: Further settings, see :class:`FileOptions`.

        Raises:
            UserError: If files are absent or damaged and cannot be downloaded, or the split is impossible.
        """
        root = expanded(path, "dataset.path")
        source, train, files = SOURCES[name]
        parts = open_parts(source, root, {part: {"split": part} for part in (*train, "test")}, download)
        listing = _listing(parts, files, root)
        splits = split_listing(listing, train_size=None, vld_size=vld_size, test_size=None, seed=split_seed)
        super().__init__(root=root, listing=listing, splits=splits, **options)


def _listing(parts: Mapping[str, Any], files: str, root: Path) -> Listing:
    """Return the list of all files of torchvision's data sets; those of the part ``"test"`` are the test set."""
    labels = np.concatenate([np.asarray(part._labels, dtype=np.int64) for part in parts.values()])
    names = getattr(parts["test"], "classes", range(int(labels.max()) + 1))  # absent for Flowers in some versions
    return Listing(
        class_names=tuple(map(str, names)),
        paths=tuple(
            Path(file).relative_to(root).as_posix() for part in parts.values() for file in getattr(part, files)
        ),
        labels=labels,
        test=np.repeat([name == "test" for name in parts], [len(part) for part in parts.values()]),
    )
