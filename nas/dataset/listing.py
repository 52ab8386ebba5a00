"""Lists of image files and their classes, and their splits."""

import logging
import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from nas.dataset.decoding import ENDINGS
from nas.dataset.splits import Indices, stratified
from nas.errors import UserError

LITTER = frozenset({"__macosx", "@eadir", "#recycle", "@recycle", "$recycle.bin", "lost+found"})
"""Names, in lower case, of folders that archivers, network drives and file systems create; they hold no images."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """The image files of a data set.

    Attributes:
        class_names: Names of the classes; the index of a name is its label.
        paths: Paths of the n files, relative to the data set's folder.
        labels: Class indices, shape (n,).
        test: Mask of the files in the test set, shape (n,).
    """

    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    labels: Indices
    test: np.ndarray[tuple[int], np.dtype[np.bool_]]


def folders_in(folder: Path) -> dict[str, Path]:
    """Return the folders in ``folder``, by name in sorted order.

    Links to folders are included. Hidden folders and those in :data:`LITTER` are not.

    Raises:
        UserError: If a name is not UTF-8 text on one line.
    """
    found = {}
    for entry in sorted(folder.iterdir()):
        if not _counts(entry.name):
            continue
        if entry.is_dir():
            if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in entry.name):
                raise UserError(f"the name of the folder {str(entry)!a} is no UTF-8 text on one line: rename it")
            found[entry.name] = entry
    return found


def warn_of_broken_links(paths: Iterable[Path]) -> None:
    """Log a warning for each of these paths that is a broken link."""
    for path in sorted(paths):
        if path.is_symlink() and not path.exists():
            logger.warning("'%s' is a link to '%s', which does not exist: it is left out", path, path.readlink())


def class_folders(folder: Path) -> tuple[str, ...]:
    """Return the sorted names of the class folders in ``folder``; UserError if there are fewer than two."""
    folders = folders_in(folder)
    warn_of_broken_links(folder.iterdir())
    names = list(folders)
    if len(names) < 2:
        found = f"has only one, '{names[0]}'" if names else "has none"
        raise UserError(f"dataset.path: '{folder}' must hold at least two class folders, but {found}{_hint(folder)}")
    return tuple(names)


def image_files(folder: Path, root: Path) -> tuple[list[str], int]:
    """Return the sorted image files below a class folder, relative to ``root``, and the number of other files.

    Links to folders are followed. A folder is read once even if several links lead to it. A link to a parent of the
    class folder is not followed; a warning says so.

    Raises:
        UserError: If the folder has no image files.
    """
    found: list[str] = []
    ignored = 0
    above = {_identity(parent) for parent in (*folder.absolute().parents, *folder.resolve().parents)}
    seen: set[tuple[int, int]] = set()
    starts = [folder]
    for start in starts:  # links are appended while iterating, so their targets come last
        links: list[Path] = []
        if _identity(start) in above:
            logger.warning("the link '%s' leads to a folder that it is in: it is not followed", start)
            continue
        for parent, folders, names in os.walk(start, onerror=_raise):
            identity = _identity(Path(parent))
            if identity in seen:
                folders.clear()
                continue
            seen.add(identity)
            folders[:] = [name for name in folders if _counts(name)]
            links += [Path(parent, name) for name in folders if Path(parent, name).is_symlink()]
            prefix = Path(parent).relative_to(root).as_posix()
            visible = [name for name in names if _counts(name)]
            images = [f"{prefix}/{name}" for name in visible if name.lower().endswith(ENDINGS)]
            found += images
            others = [Path(parent, name) for name in visible if not name.lower().endswith(ENDINGS)]
            ignored += len(others)
            warn_of_broken_links(others)
        starts += sorted(links)
    if not found:
        raise UserError(f"class folder '{folder}' holds no images (files that end in {', '.join(ENDINGS)})")
    return sorted(found), ignored


def list_folders(root: Path, train: Sequence[str], test: str, key: str) -> Listing:
    """List the images of several folders that have the same class folders.

    Args:
        root: Folder of the data set.
        train: Folders of training and validation images, relative to ``root``.
        test: Folder of test images, relative to ``root``.
        key: Name of the setting that holds ``root``, for messages.

    Raises:
        UserError: If a folder is absent or empty, or if their class folders differ.
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
    """Draw a validation split from the training images, and subsets of the remaining training and test images.

    Args:
        listing: List of the images.
        train_size: Number of training images; ``None`` for all that the validation split leaves.
        vld_size: Number of validation images.
        test_size: Number of test images; ``None`` for all.
        seed: Seed of the stratified draws. The validation split does not depend on ``train_size`` and ``test_size``.

    Returns:
        Indices of the images of each split: ``"train"``, ``"validation"`` and ``"test"``.

    Raises:
        UserError: If a size is too small for the classes or too large for the images.

    Example:
        >>> import numpy as np
        >>> from nas.dataset.listing import Listing, split_listing
        >>> paths = tuple(f"{number}.png" for number in range(12))
        >>> listing = Listing(("a", "b"), paths, labels=np.arange(12) % 2, test=np.arange(12) >= 8)
        >>> splits = split_listing(listing, train_size=None, vld_size=2, test_size=None, seed=0)
        >>> {name: len(rows) for name, rows in splits.items()}
        {'train': 6, 'validation': 2, 'test': 4}
    """
    pool = np.flatnonzero(~listing.test)
    parts = stratified(listing.labels[pool], listing.class_names, {"validation": vld_size}, seed)
    return {
        "train": sample(listing, pool[parts["train"]], "training", train_size, seed),
        "validation": pool[parts["validation"]],
        "test": sample(listing, np.flatnonzero(listing.test), "test", test_size, seed),
    }


def sample(listing: Listing, rows: Indices, name: str, size: int | None, seed: int) -> Indices:
    """Draw a stratified sample from the images ``rows``; return its indices in ascending order.

    Args:
        listing: List of the images.
        rows: Indices of the images to draw from, shape (k,).
        name: Name of the split for messages, a key of :data:`nas.dataset.splits.KEYS`.
        size: Number of images to draw; ``None`` for all.
        seed: Seed of the draw.
    """
    if size in (None, len(rows)):
        return rows
    assert size is not None
    return rows[stratified(listing.labels[rows], listing.class_names, {name: size}, seed)[name]]


def _counts(name: str) -> bool:
    """Return whether a file or folder is part of the data: neither hidden nor in :data:`LITTER`."""
    return not name.startswith(".") and name.lower() not in LITTER


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _hint(folder: Path) -> str:
    """Return the end of the message for a folder with too few class folders: what it holds instead, or nothing."""
    folders = folders_in(folder)
    names = [entry.name for entry in folder.iterdir() if entry.is_file() and _counts(entry.name)]
    images = sum(name.lower().endswith(ENDINGS) for name in names)
    if images:
        tables = sorted(name for name in names if name.lower().endswith((".csv", ".json", ".txt")))
        table = f"; labels in files such as '{tables[0]}' are not read" if tables else ""
        return f"; sort its {images:,} image{'s' * (images != 1)} into one folder a class{table}"
    for inner in folders.values():
        n = len(folders_in(inner))
        if n > 1:
            return f"; '{inner}' holds {n:,} folders: name that one if they are the classes or splits"
    return ""


def _raise(error: OSError) -> NoReturn:
    raise error
