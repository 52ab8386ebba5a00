"""Lists of image files with their classes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from nas.dataset.decoding import ENDINGS
from nas.dataset.splits import Indices, stratified
from nas.errors import UserError


@dataclass(frozen=True)
class Listing:
    """The image files of a data set.

    Attributes:
        class_names: one a class; the index is the label.
        paths: the n files, relative to the data set's folder.
        labels: class indices, shape (n,).
        test: which files are in the test set, shape (n,).
    """

    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    labels: Indices
    test: np.ndarray[tuple[int], np.dtype[np.bool_]]


def class_folders(folder: Path) -> tuple[str, ...]:
    """Return the names of the folders in ``folder``, sorted; UserError where there are fewer than two."""
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(names) < 2:
        found = f"has only one, '{names[0]}'" if names else "has none"
        raise UserError(f"dataset.path: '{folder}' must hold at least two class folders, but {found}")
    return tuple(names)


def image_files(folder: Path, root: Path) -> tuple[list[str], int]:
    """Return the image files below a class folder, relative to ``root``, sorted, and the number of other files."""
    found: list[str] = []
    ignored = 0
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        prefix = Path(parent).relative_to(root).as_posix()
        visible = [name for name in names if not name.startswith(".")]
        images = [f"{prefix}/{name}" for name in visible if name.lower().endswith(ENDINGS)]
        found += images
        ignored += len(visible) - len(images)
    if not found:
        raise UserError(f"class folder '{folder}' holds no images (files that end in {', '.join(ENDINGS)})")
    return sorted(found), ignored


def list_folders(root: Path, train: Sequence[str], test: str, key: str) -> Listing:
    """List class folders below each of several folders.

    Args:
        root: the data set's folder.
        train: folders in it whose images are for training and validation.
        test: folder in it of the test set.
        key: the setting that names ``root``, for messages.

    Raises:
        UserError: if a folder is absent or empty, or not all of them have the same class folders.
    """
    parts = [root / name for name in (*train, test)]
    for part in parts:
        if not part.is_dir():
            raise UserError(f"{key}: '{root}' must hold the folders {', '.join((*train, test))}: no '{part}'")
    try:
        names = class_folders(parts[0])
        for part in parts[1:]:
            different = sorted(set(names) ^ set(class_folders(part)))
            if different:
                raise UserError(f"class '{different[0]}' is in only one of '{parts[0]}' and '{part}'")
        files = [image_files(part / name, root)[0] for part in parts for name in names]
    except OSError as error:
        raise UserError(f"{key}: '{error.filename}' cannot be read ({error.strerror})") from error
    counts = [len(found) for found in files]
    folder = np.arange(len(files))
    return Listing(
        class_names=names,
        paths=tuple(path for found in files for path in found),
        labels=np.repeat(folder % len(names), counts),
        test=np.repeat(folder >= len(names) * len(train), counts),
    )


def split_listing(
    listing: Listing, *, train_size: int | None, vld_size: int, test_size: int | None, seed: int
) -> dict[str, Indices]:
    """Draw a validation split from the training images, and smaller parts of the others where that is asked for.

    Args:
        listing: n images.
        train_size: images that are left for training; ``None`` for all.
        vld_size: validation images.
        test_size: images of the test set; ``None`` for all.
        seed: of the stratified draws. The validation split is the same whatever the other sizes.

    Returns:
        Indices of images by split: ``"train"``, ``"validation"`` and ``"test"``.

    Raises:
        UserError: if a size does not fit the images or classes.
    """
    pool = np.flatnonzero(~listing.test)
    parts = stratified(listing.labels[pool], listing.class_names, {"validation": vld_size}, seed)
    return {
        "train": sample(listing, pool[parts["train"]], "training", train_size, seed),
        "validation": pool[parts["validation"]],
        "test": sample(listing, np.flatnonzero(listing.test), "test", test_size, seed),
    }


def sample(listing: Listing, rows: Indices, name: str, size: int | None, seed: int) -> Indices:
    """Return ``size`` of the images ``rows``, stratified, ascending; all of them if it is ``None`` or their number.

    Args:
        listing: the images.
        rows: indices, shape (k,).
        name: a key of ``nas.dataset.splits.KEYS``, for messages.
        size: how many.
        seed: equal arguments give equal images.
    """
    if size in (None, len(rows)):
        return rows
    assert size is not None
    return rows[stratified(listing.labels[rows], listing.class_names, {name: size}, seed)[name]]


def _raise(error: OSError) -> NoReturn:
    raise error
