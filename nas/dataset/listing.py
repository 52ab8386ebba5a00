"""Lists of image files with their classes."""

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
"""Folders of archivers, network drives and file systems, in small letters, that hold no data."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """The image files of a data set.

    Attributes:
        class_names: One a class; the index is the label.
        paths: The n files, relative to the data set's folder.
        labels: Class indices, shape (n,).
        test: Which files are in the test set, shape (n,).
    """

    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    labels: Indices
    test: np.ndarray[tuple[int], np.dtype[np.bool_]]


def folders_in(folder: Path) -> dict[str, Path]:
    """Return the folders in ``folder`` by name, sorted, links to folders among them; hidden ones and litter are not.

    Raises:
        UserError: If a name is no text.
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
    """Say which of these files are links to nothing."""
    for path in sorted(paths):
        if path.is_symlink() and not path.exists():
            logger.warning("'%s' is a link to '%s', which does not exist: it is left out", path, path.readlink())


def class_folders(folder: Path) -> tuple[str, ...]:
    """Return the names of the folders in ``folder``, sorted; UserError where there are fewer than two."""
    folders = folders_in(folder)
    warn_of_broken_links(folder.iterdir())
    names = list(folders)
    if len(names) < 2:
        found = f"has only one, '{names[0]}'" if names else "has none"
        raise UserError(f"dataset.path: '{folder}' must hold at least two class folders, but {found}{_hint(folder)}")
    return tuple(names)


def image_files(folder: Path, root: Path) -> tuple[list[str], int]:
    """Return the image files below a class folder, relative to ``root``, sorted, and the number of other files.

    Links to folders are followed. Each folder is read once, however many links lead to it; a link to a folder that the
    class folder is in is not followed, with a warning.
    """
    found: list[str] = []
    ignored = 0
    above = {_identity(parent) for parent in (*folder.absolute().parents, *folder.resolve().parents)}
    seen: set[tuple[int, int]] = set()
    starts = [folder]
    for start in starts:  # what is not behind links comes first
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
    """List class folders below each of several folders.

    Args:
        root: The data set's folder.
        train: Folders in it whose images are for training and validation.
        test: Folder in it of the test set.
        key: The setting that names ``root``, for messages.

    Raises:
        UserError: If a folder is absent or empty, or not all of them have the same class folders.
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
        train_size: Images that are left for training; ``None`` for all.
        vld_size: Validation images.
        test_size: Images of the test set; ``None`` for all.
        seed: Seed of the stratified draws. The validation split is the same for all other sizes.

    Returns:
        Indices of images by split: ``"train"``, ``"validation"`` and ``"test"``.

    Raises:
        UserError: If a size does not fit the images or classes.
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
        listing: The images.
        rows: Indices, shape (k,).
        name: A key of ``nas.dataset.splits.KEYS``, for messages.
        size: Number of items to draw.
        seed: Equal arguments give equal images.
    """
    if size in (None, len(rows)):
        return rows
    assert size is not None
    return rows[stratified(listing.labels[rows], listing.class_names, {name: size}, seed)[name]]


def _counts(name: str) -> bool:
    """Return whether a file or folder is part of the data: it is neither hidden nor litter."""
    return not name.startswith(".") and name.lower() not in LITTER


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _hint(folder: Path) -> str:
    """Return what a folder with fewer than two class folders holds instead, for a message; it may be empty."""
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
