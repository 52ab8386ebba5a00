"""Detection of folders that are named after splits, such as ``train/``, ``Testing/`` and ``valid/``."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path

from nas.dataset.listing import folders_in, warn_of_broken_links
from nas.errors import UserError

WORDS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("val", "valid", "validation", "dev"),
}
"""Names of folders by split. Case is ignored, and ``set``, ``data`` or ``images`` may follow."""

_NAME = re.compile(
    rf"(.*[ _-])?({'|'.join(word for words in WORDS.values() for word in words)})([ _-]?(set|data|images))?"
)
_SURE = ("train", "test", "val")
"""Names that denote a split regardless of the folders beside them."""
_NO_CLASS = ("test", "testing", "val", "validation")
"""Names that are never classes."""

logger = logging.getLogger(__name__)


def split_folders(root: Path) -> dict[str, Path]:
    """Return the folders that contain class folders, by split: ``"train"``, and others if there are any.

    ``"validation"`` is only returned together with ``"test"``. If there is a validation folder but no test folder, it
    becomes the test set. Without split folders, or with only one, all images are ``"train"``. A warning names each
    folder in ``root`` that is not used.

    Args:
        root: Folder of the data set.

    Raises:
        UserError: If there are class folders beside a split folder whose images have no classes.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from nas.dataset.split_folders import split_folders
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for name in ("Training/cat", "Training/dog", "Testing/cat", "Testing/dog"):
        ...         Path(root, name).mkdir(parents=True)
        ...     {split: folder.name for split, folder in split_folders(Path(root)).items()}
        {'train': 'Training', 'test': 'Testing'}
    """
    folders = folders_in(root)
    named = {name: split for name in folders if (split := _split_of(name)) is not None}
    filled = {name: split for name, split in named.items() if folders_in(folders[name])}
    filled = filled or _with_prefix(folders)
    only_splits = bool(named) and len(named) == len(folders)
    if not (only_splits or set(_SURE) & filled.keys() or len(set(filled.values())) > 1):
        _check_classes(folders, named)
        return {"train": root}
    warn_of_broken_links(root.iterdir())
    chosen: dict[str, str] = {}
    for split in WORDS:
        flat = split == "train" or not filled  # a later check refuses training images without classes by name
        known = named | filled if flat else filled
        names = [name for name in known if known[name] == split]
        if names:
            chosen[split] = min(names, key=lambda name: (name not in filled, name not in _SURE, name != name.lower()))
    if "train" not in chosen:
        chosen = {"train": next(iter(chosen.values()))}
    elif "test" not in chosen and "validation" in chosen:
        chosen["test"] = chosen.pop("validation")
    used = ", ".join(f"'{name}'" for name in chosen.values())
    for name, folder in folders.items():
        if name not in chosen.values():
            why = "it has no class folders" if name in named and name not in filled else f"images are taken from {used}"
            logger.warning("'%s' is not used: %s", folder, why)
    return {split: _innermost(folders[name]) for split, name in chosen.items()}


def _split_of(name: str) -> str | None:
    """Return the split that a folder is named after; ``None`` if there is none."""
    found = _NAME.fullmatch(name.lower())
    return None if found is None or found[1] else _split_named(found[2])


def _with_prefix(folders: Mapping[str, Path]) -> dict[str, str]:
    """Return the splits of folders with one common prefix, such as ``seg_train`` and ``seg_test``.

    Folders without subfolders are ignored.
    """
    found = {name: matched for name in folders if (matched := _NAME.fullmatch(name.lower())) and matched[1]}
    found = {name: matched for name, matched in found.items() if folders_in(folders[name])}
    if len({matched[1] for matched in found.values()}) != 1:
        return {}
    return {name: _split_named(matched[2]) for name, matched in found.items()}


def _split_named(word: str) -> str:
    return next(split for split, words in WORDS.items() if word in words)


def _check_classes(folders: Mapping[str, Path], named: Mapping[str, str]) -> None:
    for name in named:
        if name.lower() in _NO_CLASS:
            other = next(other for other in folders if other not in named)
            raise UserError(
                f"dataset.path: '{folders[name]}' has no class folders, but is beside class folders such as '{other}': "
                f"sort its images into class folders, or move it elsewhere"
            )


def _innermost(folder: Path) -> Path:
    """Descend while a folder's only subfolder has the folder's name, as in ``train/train``; return the last one."""
    inner = folders_in(folder)
    while list(map(str.lower, inner)) == [folder.name.lower()]:
        (folder,) = inner.values()
        inner = folders_in(folder)
    return folder
