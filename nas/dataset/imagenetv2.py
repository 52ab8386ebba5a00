"""ImageNet with ImageNetV2 as its validation set."""

import os
from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from typing import Unpack, final

import numpy as np

from nas.dataset.file_dataset import FileDataset, FileOptions
from nas.dataset.listing import Listing, class_folders, image_files, list_folders, sample
from nas.errors import UserError
from nas.files import expanded
from nas.types import NonNegativeInt, PositiveInt


@final
class ImageNetV2(FileDataset):
    """ImageNet with ImageNetV2 as validation split; ImageNet's own validation images are the test split.

    ImageNetV2 (Recht et al., ICML 2019) consists of three sets of 10,000 images that overlap. Without duplicates they
    have 20,683 images. Supernets that were trained on all training images of ImageNet need other images to guide the
    search. ENCAS uses ImageNetV2 for that (Chebykin et al., GECCO 2022).

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from nas.dataset.base import Augmentation
        >>> from nas.dataset.imagenetv2 import ImageNetV2
        >>> folder = tempfile.TemporaryDirectory()
        >>> for name in ("imagenet/train/n01", "imagenet/train/n02", "imagenet/val/n01", "imagenet/val/n02",
        ...              "v2/matched/0", "v2/matched/1"):
        ...     Path(folder.name, name).mkdir(parents=True)
        ...     done = Path(folder.name, name, name.replace("/", "_") + ".png").write_text(name)
        >>> options = {"size": 8, "storage": "files", "corrupt": "refuse", "mean": None, "std": None, "cache": "cache",
        ...            "resolutions": (8,), "augmentation": Augmentation(shift=0.0, flip=False, cutout=0.0)}
        >>> folders = {"path": Path(folder.name) / "v2", "imagenet": Path(folder.name) / "imagenet"}
        >>> ImageNetV2(**folders, sets=("matched",), train_size=None, **options).class_names
        ('n01', 'n02')
        >>> folder.cleanup()
    """

    def __init__(
        self,
        *,
        path: Path,
        imagenet: Path,
        sets: tuple[str, ...] = (
            "imagenetv2-matched-frequency-format-val",
            "imagenetv2-threshold0.7-format-val",
            "imagenetv2-top-images-format-val",
        ),
        train_size: PositiveInt | None = 10000,
        test_size: PositiveInt | None = None,
        split_seed: NonNegativeInt = 0,
        **options: Unpack[FileOptions],
    ) -> None:
        """List and split the files; no image is read yet.

        Args:
            path: Folder of ImageNetV2's sets, each with folders named by the class's number.
            imagenet: Folder of ImageNet, with ``train`` and ``val``.
            sets: Names of the sets' folders in ``path``. An image in several sets is used once, from the first of them.
            train_size: Number of training images; ``None`` for all.
            test_size: Number of test images; ``None`` for all.
            split_seed: Seed of the random choice of training and test images.
            options: Further settings, see :class:`FileOptions`.

        Raises:
            UserError: If a folder is absent, or its class folders are not as expected.
        """
        here, there = expanded(path, "dataset.path").resolve(), expanded(imagenet, "dataset.imagenet").resolve()
        root = Path(os.path.commonpath([here, there]))
        known = list_folders(there, ("train",), "val", "dataset.imagenet")
        files, labels = _merged(here, sets, len(known.class_names))
        listing = Listing(
            class_names=known.class_names,
            paths=(
                *((there / name).relative_to(root).as_posix() for name in known.paths),
                *((here / name).relative_to(root).as_posix() for name in files),
            ),
            labels=np.concatenate([known.labels, np.array(labels, np.int64)]),
            test=np.concatenate([known.test, np.zeros(len(files), np.bool_)]),
        )
        splits = {
            "train": sample(listing, np.flatnonzero(~known.test), "training", train_size, split_seed),
            "validation": np.arange(len(known.paths), len(listing.paths)),
            "test": sample(listing, np.flatnonzero(known.test), "test", test_size, split_seed),
        }
        super().__init__(root=root, listing=listing, splits=splits, **options)


def _merged(root: Path, sets: tuple[str, ...], n_classes: int) -> tuple[list[str], list[int]]:
    """Return the files of all sets without duplicates, relative to ``root`` and ordered by class, and their labels."""
    numbers = {str(number) for number in range(n_classes)}
    for folder in (root / name for name in sets):
        if not folder.is_dir():
            raise UserError(f"dataset.path: '{root}' must hold the folders {', '.join(sets)}: no '{folder}'")
        if set(class_folders(folder)) != numbers:
            raise UserError(f"'{folder}' must hold the folders 0 to {n_classes - 1}, one for each class of ImageNet")
    files: list[str] = []
    labels: list[int] = []
    for label in range(n_classes):
        found = [file for name in sets for file in image_files(root / name / str(label), root)[0]]
        kept = _without_duplicates(root, found)
        files += kept
        labels += [label] * len(kept)
    return files, labels


def _without_duplicates(root: Path, files: list[str]) -> list[str]:
    """Drop files that have the name or the content of an earlier file."""
    named: dict[str, str] = {}
    for file in files:
        named.setdefault(Path(file).name, file)
    by_size: dict[int, list[str]] = defaultdict(list)
    for file in named.values():
        by_size[(root / file).stat().st_size].append(file)
    kept: set[str] = set()
    for group in by_size.values():
        contents: dict[bytes, str] = {}
        for file in group if len(group) > 1 else ():  # files of different sizes cannot be equal
            contents.setdefault(sha256((root / file).read_bytes()).digest(), file)
        kept.update(contents.values() or group)
    return [file for file in files if file in kept]
