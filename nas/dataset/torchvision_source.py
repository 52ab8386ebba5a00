"""Opening of torchvision's data sets, with a download if files are missing."""

import importlib
import logging
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from nas.errors import UserError

logger = logging.getLogger(__name__)


def open_parts(class_name: str, root: Path, parts: Mapping[str, Mapping[str, Any]], download: bool) -> dict[str, Any]:
    """Open the parts of one of torchvision's data sets, by the names in ``parts``.

    Several processes may call this at the same time; one of them downloads, and the others wait.

    Args:
        class_name: Name of the class in ``torchvision.datasets``.
        root: Folder that contains the data set's own folder.
        parts: Arguments of the class that choose a part, by a name that the caller chooses.
        download: Whether to download missing files.

    Raises:
        UserError: If the files are absent or damaged, or cannot be downloaded.
    """
    constructor = getattr(importlib.import_module("torchvision.datasets"), class_name)
    if download:
        with suppress(OSError):  # reported below if a download is necessary
            root.mkdir(parents=True, exist_ok=True)
    shared = download and os.access(root, os.W_OK)
    with FileLock(root / f".{class_name}.lock") if shared else nullcontext():
        try:
            return {name: constructor(root=root, download=False, **arguments) for name, arguments in parts.items()}
        except (RuntimeError, OSError) as error:  # absent, damaged or incomplete files
            if not download:
                raise UserError(
                    f"dataset.path: '{root}' does not hold {class_name} ({_reason(error)}): put it there as "
                    "torchvision.datasets expects it, or set dataset.download=true"
                ) from error
        logger.info("downloading %s to %s", class_name, root)
        try:
            with _unpacked_inside():
                return {name: constructor(root=root, download=True, **arguments) for name, arguments in parts.items()}
        except Exception as error:  # errors of the connection, the archive or the disk
            raise UserError(
                f"cannot download {class_name} ({_reason(error)}): try again, or put it into '{root}' by hand as "
                "torchvision.datasets expects it"
            ) from error


@contextmanager
def _unpacked_inside() -> Iterator[None]:
    """Prevent tar files from unpacking members or links outside of their target folder."""
    before = tarfile.TarFile.extraction_filter
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        yield
    finally:
        tarfile.TarFile.extraction_filter = before


def _reason(error: Exception) -> str:
    text = " ".join((str(error) or type(error).__name__).split())
    return text.partition(". You can use download=True")[0]
