"""Short names of folders."""

from collections.abc import Sequence
from pathlib import Path

from nas.errors import UserError


def short_names(folders: Sequence[Path], key: str) -> tuple[str, ...]:
    """Return the ends of paths that tell them apart, of as few parts as possible, for example ``"digits/seed_0"``.

    Args:
        folders: resolved paths.
        key: the setting that lists them, for messages.

    Raises:
        UserError: if a folder is listed twice, or none is.
    """
    if not folders:
        raise UserError(f"{key} is empty; list at least one folder")
    for place, folder in enumerate(folders):
        if folder in folders[:place]:
            raise UserError(f"{key} lists '{folder}' twice")
    length = 1
    while len({folder.parts[-length:] for folder in folders}) < len(folders):
        length += 1
    return tuple("/".join(part for part in folder.parts[-length:] if part != folder.anchor) for folder in folders)
