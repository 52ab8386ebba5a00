"""Lease of a folder for one writing process; the operating system ends it when the process dies."""

import fcntl
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nas.errors import InUseError
from nas.files import writing

log = logging.getLogger(__name__)

NAME = ".lease"
"""The locked file. That it is there says nothing: what counts is whether a process holds its lock."""

_PATIENCE_SECONDS = 0.5  # somebody who only looks holds the lock for an instant


@contextmanager
def lease(folder: Path) -> Iterator[None]:
    """Hold a folder for this process while the context lasts.

    The lock is ``flock``. It works between nodes of a cluster if the shared file system supports it, as NFS and Lustre
    (mounted with ``flock``) do. On a file system without locks the folder is not protected, and a warning says so.

    Raises:
        InUseError: If another process holds it; the message names its process, host and SLURM job.
    """
    with writing(folder / NAME):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / NAME).open("a+")
    with file:
        _lock(folder, file)
        with writing(folder / NAME):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
        yield


def _lock(folder: Path, file: IO[str]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise InUseError(f"the folder {folder} is in use by {_owner(file)}; wait, or stop it") from error
            time.sleep(0.02)
        except OSError as error:
            return log.warning("%s: two processes at once would not be noticed here: no locks (%s)", folder, error)


def holder(folder: Path) -> str | None:
    """Return the holder of a folder, for example ``"process 71 on node3"``; ``None`` if it is free."""
    try:
        with (folder / NAME).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _owner(file)
    except OSError:
        pass
    return None


def _owner(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or "another process"
