"""Any folder of images with one folder a class."""

import logging
from pathlib import Path
from typing import final

import numpy as np

from nas.dataset.base import Augmentation
from nas.dataset.file_dataset import FileDataset, Storage
from nas.dataset.image_cache import Corrupt
from nas.dataset.listing import Listing, class_folders, image_files
from nas.dataset.splits import Indices, fewest, stratified
from nas.dataset.summary import Channels, Std
from nas.errors import UserError
from nas.files import expanded
from nas.types import NonNegativeInt, PositiveInt

logger = logging.getLogger(__name__)


@final
class ImageFolder(FileDataset):
    """Images in class folders: below ``train/`` and ``test/`` (or ``val/``), below one of them, or directly.

    Class folders may have folders in them. Hidden files are ignored, and so are files without an image's ending.
    """

    def __init__(
        self,
        *,
        path: Path,
        size: PositiveInt,
        vld_size: PositiveInt | None,
        test_size: PositiveInt | None,
        split_seed: NonNegativeInt,
        storage: Storage,
        corrupt: Corrupt,
        mean: Channels | None,
        std: Std | None,
        resolutions: tuple[PositiveInt, ...],
        augmentation: Augmentation,
        cache: Path,
    ) -> None:
        """List the files.

        Args:
            path: the folder.
            size: side in pixels to which images are decoded.
            vld_size: number of validation images, which are taken from the training images; a fifth if ``None``.
            test_size: number of test images where there is no test folder; a fifth of all images if ``None``.
            split_seed: of the random splits; independent of the run's seed, so that all runs see the same data.
            storage: whether decoded images are kept, see :class:`FileDataset`.
            corrupt: whether to refuse or to skip images that cannot be read.
            mean: per channel of pixels scaled to 0..1; computed from the training images if ``None``.
            std: likewise.
            resolutions: recommended sides of a network's input, in pixels.
            augmentation: what training images go through.
            cache: where decoded images are kept.

        Raises:
            UserError: if the folder does not hold what the splits need; the message names the folder, class or file.
        """
        root = expanded(path, "dataset.path")  # settings arrive as text
        listing = _list_images(root)
        splits = _split(listing, vld_size, test_size, split_seed)
        super().__init__(
            root=root,
            listing=listing,
            splits=splits,
            size=size,
            storage=storage,
            corrupt=corrupt,
            mean=mean,
            std=std,
            resolutions=resolutions,
            augmentation=augmentation,
            cache=cache,
        )


def _list_images(root: Path) -> Listing:
    """Find class folders and image files; raise UserError where they are not as they must be."""
    try:
        if not root.is_dir():
            raise UserError(f"dataset.path: '{root}' {'is not a folder' if root.exists() else 'does not exist'}")
        train, test = _parts(root)
        class_names = class_folders(train)
        if test:
            _check_same_classes(class_names, train, test)
        folders = [part / name for part in (train, test) if part for name in class_names]
        files = [image_files(folder, root) for folder in folders]
    except OSError as error:
        raise UserError(f"dataset.path: '{error.filename}' cannot be read ({error.strerror})") from error
    counts = [len(found) for found, _ in files]
    logger.info(
        "%s: %s images of %d classes%s", root, f"{sum(counts):,}", len(class_names),
        f"; ignored {ignored:,} other files" if (ignored := sum(others for _, others in files)) else "",
    )  # fmt: skip
    return Listing(
        class_names=class_names,
        paths=tuple(path for found, _ in files for path in found),
        labels=np.repeat(np.arange(len(files)) % len(class_names), counts),
        test=np.repeat(np.arange(len(files)) >= len(class_names), counts),
    )


def _parts(root: Path) -> tuple[Path, Path | None]:
    """Return the folder whose class folders are for training, and that of the test set if it has its own."""
    train, *tests = (root / name for name in ("train", "test", "val"))
    tests = [folder for folder in tests if folder.is_dir()]
    for unused in tests[1:]:
        logger.warning("%s is not used: validation images are taken from the training images", unused)
    test = tests[0] if tests else None
    if train.is_dir():
        return train, test
    return test or root, None


def _check_same_classes(class_names: tuple[str, ...], train: Path, test: Path) -> None:
    test_names = class_folders(test)
    for present, names, other, others in (
        (test, test_names, train, class_names),
        (train, class_names, test, test_names),
    ):
        missing = sorted(set(names) - set(others))
        if missing:
            more = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
            raise UserError(f"class '{missing[0]}'{more} is in '{present}', but not in '{other}'")


def _split(listing: Listing, vld_size: int | None, test_size: int | None, seed: int) -> dict[str, Indices]:
    """Split the files; a size of ``None`` stands for a fifth, but at least one image of each class with enough."""
    pool = np.flatnonzero(~listing.test)
    tested = bool(listing.test.any())
    fifth = max(len(pool) // 5, fewest(listing.labels[pool], 2 if tested else 3))
    sizes = {} if tested else {"test": fifth if test_size is None else test_size}
    sizes["validation"] = fifth if vld_size is None else vld_size
    parts = stratified(listing.labels[pool], listing.class_names, sizes, seed)
    return {"test": np.flatnonzero(listing.test), **{name: pool[part] for name, part in parts.items()}}
