"""Atomic writes and checksums of files.

An atomic write goes to a temporary file in the same folder, which is flushed and then renamed to the final path.
Therefore a file is either complete or absent.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from nas.errors import DiskError, UserError

SEAL = "sha256"
"""Key of the checksum in a sealed value."""


def expanded(path: str | Path, setting: str) -> Path:
    """Return a path with ``~`` or ``~user`` replaced by the home folder.

    Args:
        path: Path, relative or absolute.
        setting: Name of the setting with this path, for error messages.

    Raises:
        UserError: If the home folder does not exist.

    Example:
        >>> expanded("outputs", "paths.outputs").as_posix()
        'outputs'
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        home = Path(path).parts[0]
        raise UserError(
            f"{setting}={path}: there is no home folder for '{home}'; write the whole path without '{home}'"
        ) from error


def can_be_written(folder: Path) -> bool:
    """Return whether files can be written to a folder, or the folder can be created; the check writes nothing."""
    place = _nearest(folder)
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)


def check_can_be_written(folder: Path, what: str) -> None:
    """Check that files can be written to a folder, or that the folder can be created.

    Args:
        folder: Folder to check.
        what: Description of the folder in the error message.

    Raises:
        UserError: If the folder cannot be written to.
    """
    if not can_be_written(folder):
        raise UserError(f"{what} cannot be written: {_nearest(folder)} is not a folder you may write to")


def _nearest(folder: Path) -> Path:
    """Return the folder if it exists, else its nearest existing parent."""
    return next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of the disk in the ``with`` block into a DiskError that names ``path``.

    This includes errors of the disk that are the cause of another exception, for example in torch.
    """
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(
            cause, OSError
        ):  # torch raises a RuntimeError that an OSError caused
            cause = cause.__cause__ or cause.__context__
        if cause is None or isinstance(error, DiskError):
            raise
        reason = cause.strerror or str(cause) or type(cause).__name__
        raise DiskError(
            f"{path} cannot be written ({reason}); make room or make it writable, and the same command goes on"
        ) from error


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Give the name of a temporary file in the folder of ``path``, which is made."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")


def write_atomic(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file atomically; on any error an existing file at ``path`` stays unchanged.

    Args:
        path: Path of the file; its folder is created if necessary.
        write: Function that writes the content to an open binary file.

    Raises:
        DiskError: If the disk is full or not writable.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomic(Path(folder) / "a.txt", lambda file: file.write(b"text"))
        ...     (Path(folder) / "a.txt").read_text()
        'text'
    """
    with _beside(path) as temporary:
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def link(source: Path, target: Path) -> None:
    """Put a file at a second path atomically, as a hard link, or as a copy if links are not possible.

    Args:
        source: Existing file.
        target: Second path of the file; its folder is created if necessary, and an existing file is replaced.

    Raises:
        DiskError: If the disk is full or not writable.
    """
    with _beside(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:  # another file system, a file system without links, or a file of another user
            with source.open("rb") as file:
                write_atomic(target, lambda copy: shutil.copyfileobj(file, copy))
            return
        temporary.replace(target)
        temporary.unlink(missing_ok=True)  # renaming does nothing if both paths are links to the same file


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    write_atomic(path, lambda file: file.write(data))


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any, indent: int | None = None) -> None:
    """Write a value as JSON, atomically.

    Args:
        path: Path of the file; its folder is created if necessary.
        value: Plain values. Not-a-number and infinity raise a ValueError, because JSON has no such values.
        indent: Number of spaces of the indentation; ``None`` for a single line.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_json(Path(folder) / "a.json", {"top1": 91.5})
        ...     read_json(Path(folder) / "a.json")
        {'top1': 91.5}
    """
    write_text(path, json.dumps(value, indent=indent, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text())


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values by name with a checksum of them, for :func:`unsealed`.

    Example:
        >>> unsealed(sealed({"seed": 1}))
        {'seed': 1}
    """
    return {**value, SEAL: _checksum(value)}


def unsealed(value: Any, *, required: bool = True) -> dict[str, Any]:
    """Return the values that were given to :func:`sealed`, after a check of their checksum.

    Args:
        value: Result of :func:`sealed`, or of reading it from a JSON file.
        required: Whether the checksum must be present; earlier versions wrote some files without a checksum.

    Raises:
        ValueError: If the value is no dictionary, has no checksum although it is required, or has a wrong checksum.
    """
    if not isinstance(value, dict) or (required and SEAL not in value):
        raise ValueError("it has no checksum")
    if SEAL not in value:
        return value
    plain = {key: item for key, item in value.items() if key != SEAL}
    if value[SEAL] not in (_checksum(plain), _checksum(plain, ordered=True)):
        raise ValueError("it does not match its checksum")
    return plain


def read_sealed(path: Path, *, required: bool = True) -> dict[str, Any]:
    """Read a JSON file of sealed values.

    Args:
        path: Path of the file.
        required: Whether the checksum must be present, as in :func:`unsealed`.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If the file is damaged; the message names it.
    """
    try:
        return unsealed(read_json(path), required=required)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def file_digest(path: Path) -> str:
    """Return the SHA-256 digest of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksum(value: Mapping[str, Any], ordered: bool = False) -> str:
    """Return the checksum of plain values; ``ordered`` sorts the keys, as earlier versions did for some files."""
    return hashlib.sha256(json.dumps(value, allow_nan=False, sort_keys=ordered).encode()).hexdigest()
