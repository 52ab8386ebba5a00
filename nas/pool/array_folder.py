"""Folders of arrays with a record of checksums.

A folder is valid only if its record is; otherwise it is made again.
"""

import hashlib
import io
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nas import cache
from nas.files import file_digest, read_sealed, sealed, write_atomic, write_json

RECORD = "record.json"

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Stream:
    """Array that is written block by block.

    Attributes:
        shape, dtype: Shape and type of the whole array.
        blocks: Consecutive parts of the array along the first axis.
    """

    shape: tuple[int, ...]
    dtype: npt.DTypeLike
    blocks: Iterable[Array]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for one thread of one process; create it if needed.

    The lock is released when the process ends.
    """
    with cache.locked(folder / ".lock"), cache.in_cache():
        yield


def write_arrays(folder: Path, arrays: Mapping[str, Array | Stream], facts: Mapping[str, Any]) -> None:
    """Write each array to ``<name>.npy``, and then the record, without which the arrays do not count.

    Args:
        folder: Folder held by :func:`locked`. Temporary files of a killed process are removed.
        arrays: Arrays by name.
        facts: Plain values to store with the arrays.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from nas.pool.array_folder import open_array, read_facts, write_arrays
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_arrays(Path(folder), {"squares": np.arange(4) ** 2}, {"note": "example"})
        ...     read_facts(Path(folder), thorough=True)["note"], open_array(Path(folder), "squares").tolist()
        ('example', [0, 1, 4, 9])
    """
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink()
    (folder / RECORD).unlink(missing_ok=True)
    files = {name: _write(folder / f"{name}.npy", array) for name, array in arrays.items()}
    record = {"facts": dict(facts), "files": files}
    write_json(folder / RECORD, sealed(record))


def read_facts(folder: Path, *, thorough: bool) -> dict[str, Any] | None:
    """Return the facts of a folder, with the digests of its arrays under ``"digests"``.

    Args:
        folder: Folder that :func:`write_arrays` wrote.
        thorough: Whether to compare the content of each file with its checksum, not its size only.

    Returns:
        The facts; ``None`` if the folder is absent or damaged. A damaged file is named in a warning.
    """
    record = _record(folder)
    if record is None:
        return None
    for name, stored in record["files"].items():
        path = folder / f"{name}.npy"
        damage = _damage(path, stored, thorough)
        if damage is not None:
            log.warning("%s is damaged (%s): it is made anew", path, damage)
            return None
    digests = {name: stored["sha256"] for name, stored in record["files"].items()}
    return {**record["facts"], "digests": digests}


def open_array(folder: Path, name: str) -> Array:
    """Open an array of a folder, memory-mapped and read-only."""
    array: Array = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    return array


def digest_of(array: Array) -> str:
    """Return the SHA-256 of an array's type, shape and values.

    Example:
        >>> import numpy as np
        >>> from nas.pool.array_folder import digest_of
        >>> digest_of(np.zeros(3)) == digest_of(np.zeros(3)), digest_of(np.zeros(3)) == digest_of(np.zeros((3, 1)))
        (True, False)
    """
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def plain_digest(value: object) -> str:
    """Return the SHA-256 of plain values as hexadecimal digits; the order of keys does not matter.

    Example:
        >>> from nas.pool.array_folder import plain_digest
        >>> plain_digest({"a": 1, "b": 2}) == plain_digest({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _write(path: Path, array: Array | Stream) -> dict[str, Any]:
    """Write an array with an atomic write; return the file's checksum and size."""
    stream = array if isinstance(array, Stream) else Stream(array.shape, array.dtype, (array,))
    digest, size = hashlib.sha256(), 0

    def write(file: IO[bytes]) -> None:
        nonlocal size
        for data in _bytes(stream):
            file.write(data)
            digest.update(data)
            size += len(data)

    write_atomic(path, write)
    return {"sha256": digest.hexdigest(), "bytes": size}


def _bytes(stream: Stream) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a ``.npy`` file."""
    header = io.BytesIO()
    description = {"descr": np.lib.format.dtype_to_descr(np.dtype(stream.dtype)), "fortran_order": False}
    np.lib.format.write_array_header_1_0(header, description | {"shape": tuple(stream.shape)})
    yield header.getvalue()
    for block in stream.blocks:
        if block.size:
            yield np.ascontiguousarray(block, dtype=stream.dtype).data.cast("B")


def _record(folder: Path) -> dict[str, Any] | None:
    path = folder / RECORD
    try:
        return read_sealed(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        pass
    log.warning("%s is damaged: what it describes is made anew", path)
    return None


def _damage(path: Path, stored: Mapping[str, Any], thorough: bool) -> str | None:
    """Return a description of a file's damage; ``None`` if the file is valid."""
    try:
        if path.stat().st_size != stored["bytes"]:
            return f"{path.stat().st_size:,} of {stored['bytes']:,} bytes"
        if thorough and file_digest(path) != stored["sha256"]:
            return "its content does not match its checksum"
    except OSError as error:
        return str(error.strerror)
    return None
