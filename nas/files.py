"""Files that are either whole or absent: written beside their place, flushed, then renamed into it."""

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
"""The key of a sealed value that holds the checksum of the others."""


def expanded(path: str | Path, setting: str) -> Path:
    """Return a path with the home folder in the place of ``~`` or ``~user``.

    Args:
        path: Relative or absolute.
        setting: Name of the setting that holds it.

    Raises:
        UserError: If there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        home = Path(path).parts[0]
        raise UserError(
            f"{setting}={path}: there is no home folder for '{home}'; write the whole path without '{home}'"
        ) from error


def can_be_written(folder: Path) -> bool:
    """Return whether files can be written to a folder, or the folder be made; nothing is written to find out."""
    place = _nearest(folder)
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)


def check_can_be_written(folder: Path, what: str) -> None:
    """Raise UserError, which names the folder as ``what`` says it, unless :func:`can_be_written`."""
    if not can_be_written(folder):
        raise UserError(f"{what} cannot be written: {_nearest(folder)} is not a folder you may write to")


def _nearest(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that exists."""
    return next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what goes wrong on the disk into a DiskError that names ``path``, wherever libraries hide it."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):  # torch raises RuntimeError from it
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
    """Call ``write(file)`` and put what it wrote at ``path``; on any error ``path`` stays as it was.

    Raises:
        DiskError: If the disk is full or must not be written to.
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
    """Put a file at a second place, atomically: as a hard link, or as a copy where the file systems want that.

    Raises:
        DiskError: If the disk is full or must not be written to.
    """
    with _beside(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:  # another file system, one without links, or a file of somebody else
            with source.open("rb") as file:
                write_atomic(target, lambda copy: shutil.copyfileobj(file, copy))
            return
        temporary.replace(target)
        temporary.unlink(missing_ok=True)  # two links to one file are not renamed into each other


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    write_atomic(path, lambda file: file.write(data))


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any, indent: int | None = None) -> None:
    """Write ``value`` to ``path`` as JSON, atomically. Not-a-number is refused: JSON has no such value."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text())


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values by name with their checksum, which :func:`unsealed` compares."""
    return {**value, SEAL: _checksum(value)}


def unsealed(value: Any, *, required: bool = True) -> dict[str, Any]:
    """Return what :func:`sealed` was given; it may have been to JSON and back.

    Args:
        value: Plain values by name.
        required: Whether there must be a checksum: earlier versions wrote some files without.

    Raises:
        ValueError: If it is anything else, or does not match its checksum.
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
    """Read a JSON file that holds sealed values; ``required`` as in :func:`unsealed`.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is damaged; the message names it.
    """
    try:
        return unsealed(read_json(path), required=required)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksum(value: Mapping[str, Any], ordered: bool = False) -> str:
    """Return the checksum of plain values; with their keys in order, as earlier versions did for some files."""
    return hashlib.sha256(json.dumps(value, allow_nan=False, sort_keys=ordered).encode()).hexdigest()
