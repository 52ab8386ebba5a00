"""Any folder of images with one folder a class."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nas.dataset.base import Augmentation, Dataset, Images
from nas.dataset.image_cache import Corrupt, decoded_images, open_pixels
from nas.dataset.listing import Listing, class_folders, image_files
from nas.dataset.splits import Indices, stratified
from nas.dataset.summary import fingerprint, mean_and_std
from nas.errors import UserError
from nas.types import NonNegativeInt, PositiveInt, Probability

logger = logging.getLogger(__name__)


class ImageFolder(Dataset):
    """Images in class folders: below ``train/`` and ``test/`` (or ``val/``), below one of them, or directly.

    Class folders may have folders in them. Hidden files are ignored, and so are files without an image's ending.
    Images are decoded once and then memory-mapped; ``split`` copies a split into memory.
    """

    def __init__(
        self,
        *,
        path: Path,
        size: PositiveInt,
        vld_size: PositiveInt | None,
        test_size: PositiveInt | None,
        split_seed: NonNegativeInt,
        resolutions: tuple[PositiveInt, ...],
        shift: Probability,
        flip: bool,
        cutout: Probability,
        corrupt: Corrupt,
        cache: Path,
    ) -> None:
        """List the files, check them, and decode those that are not in the cache.

        Args:
            path: the folder.
            size: side in pixels to which images are decoded.
            vld_size: number of validation images, which are taken from the training images; a fifth if ``None``.
            test_size: number of test images where there is no test folder; a fifth of all images if ``None``.
            split_seed: of the random splits; independent of the run's seed, so that all runs see the same data.
            resolutions: recommended sides of a network's input, in pixels.
            shift: largest translation of training images, as a share of the side.
            flip: whether training images are mirrored left to right at random.
            cutout: side of the square that is blanked out in training images, as a share of the side.
            corrupt: whether to refuse or to skip images that cannot be read.
            cache: where decoded images are kept.

        Raises:
            UserError: if the folder does not hold what the splits need; the message names the folder, class or file.
        """
        root = Path(path).expanduser()  # settings arrive as text
        listing = _list_images(root)
        _split(listing, vld_size, test_size, split_seed)  # refuses sizes before the work of decoding
        decoded = decoded_images(root, listing.paths, size, corrupt, cache)
        listing = _keep(listing, decoded.index.paths)
        self._splits = _split(listing, vld_size, test_size, split_seed)
        self._labels = listing.labels
        self._folder = decoded.folder
        self.class_names = listing.class_names
        self.mean, self.std = mean_and_std(decoded.sums[self._splits["train"]], size * size)
        self.augmentation = Augmentation(shift=shift, flip=flip, cutout=cutout)
        self.resolutions = tuple(resolutions)
        self.fingerprint = fingerprint(decoded.index.pixels_digest, self._labels, self._splits)

    def split(self, name: str) -> Images:
        """Return the images of the split ``"train"``, ``"validation"`` or ``"test"``, copied into memory."""
        rows = self._splits[name]
        return Images(pixels=np.asarray(open_pixels(self._folder)[rows]), labels=self._labels[rows])


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
    """Split the files; a size of ``None`` stands for a fifth, but at least one image of each class."""
    pool = np.flatnonzero(~listing.test)
    fifth = max(len(pool) // 5, len(listing.class_names))
    sizes = {} if listing.test.any() else {"test": fifth if test_size is None else test_size}
    sizes["validation"] = fifth if vld_size is None else vld_size
    parts = stratified(listing.labels[pool], listing.class_names, sizes, seed)
    return {"test": np.flatnonzero(listing.test), **{name: pool[part] for name, part in parts.items()}}


def _keep(listing: Listing, readable: Sequence[str]) -> Listing:
    """Return the files that can be read, in the order of ``readable``; raise UserError if a class has none left."""
    position = {path: row for row, path in enumerate(listing.paths)}
    rows = np.array([position[path] for path in readable], dtype=np.int64)
    for test in (False, True):
        left = set(listing.labels[rows][listing.test[rows] == test])
        empty = sorted(set(listing.labels[listing.test == test]) - left)
        if empty:
            part = "test" if test else "training"
            raise UserError(f"none of the {part} images of class '{listing.class_names[empty[0]]}' can be read")
    return replace(listing, paths=tuple(readable), labels=listing.labels[rows], test=listing.test[rows])
