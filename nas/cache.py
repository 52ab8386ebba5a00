"""Folder that runs share: trained supernets, decoded images, stored outputs and downloads."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nas.errors import DiskError, UserError

_ADVICE = "name another folder by paths.cache=FOLDER or the environment variable NAS_CACHE"


def check_cache(cache: Path) -> None:
    """Write to a file without a name in the cache, or where the cache would be made, and lock it.

    Raises:
        UserError: If that fails: a disk that is full or read-only, no permission, a file system without locks.
    """
    place = next(parent for parent in (cache, *cache.absolute().parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=place, buffering=0) as file:
            file.write(bytes(4096))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise _unusable(cache, error) from error


@contextmanager
def in_cache() -> Iterator[None]:
    """Let errors of files that cannot be written name the cache's setting."""
    try:
        yield
    except DiskError as error:
        raise DiskError(f"{error}; or {_ADVICE}") from error


@contextmanager
def locked(lock: Path, waits: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock, a file of the cache whose folder is made if needed; it ends with the process.

    Args:
        lock: The file.
        waits: Called if another process, or another thread, holds it; then this one waits.

    Raises:
        UserError: If the file cannot be written or locked.
    """
    held = FileLock(lock)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            held.acquire(timeout=0)
        except Timeout:
            if waits is not None:
                waits()
            held.acquire()
    except OSError as error:
        raise _unusable(lock, error) from error
    try:
        yield
    finally:
        held.release()


def _unusable(path: Path, error: OSError) -> UserError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    return UserError(f"the cache cannot be used: {path}: {reason}; {_ADVICE}")
