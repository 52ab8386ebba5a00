"""Cache folder, which runs share: trained supernets, decoded images, stored outputs and downloads."""

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
    """Check that files of the cache can be written and locked.

    The check writes and locks a nameless temporary file in the cache, or in its nearest existing parent folder.

    Args:
        cache: Cache folder; it does not have to exist.

    Raises:
        UserError: If the disk is full or read-only, the permission is missing, or the file system has no locks.
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
    """Add the setting of the cache folder to the message of each DiskError in the ``with`` block."""
    try:
        yield
    except DiskError as error:
        raise DiskError(f"{error}; or {_ADVICE}") from error


@contextmanager
def locked(lock: Path, waits: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock during the ``with`` block; the system releases it if the process ends.

    Args:
        lock: Path of the lock file; its folder is created if necessary.
        waits: Function that is called before waiting if another process or thread holds the lock; ``None`` for no call.

    Raises:
        UserError: If the file cannot be written or locked.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder) / ".lock"):
        ...     print("one process at a time")
        one process at a time
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
