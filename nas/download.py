"""Downloads into the cache: they resume after interruptions, are verified by checksum, and happen once."""

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from importlib import import_module
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from rich.console import Console
from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

from nas.cache import locked
from nas.errors import UserError
from nas.files import file_digest

ATTEMPTS = 5
"""Maximum number of connections for one download; each of them resumes the previous one."""

PAUSE = 1.0
"""Seconds between two connections."""

TIMEOUT = 30.0
"""Seconds without data after which a connection counts as broken."""

BLOCK = 2**20
"""Bytes that are read at a time."""

LINES = 10
"""Number of progress lines in the log of a download, if there is no terminal."""

logger = logging.getLogger(__name__)


def download(url: str, target: Path, sha256: str | None) -> Path:
    """Return ``target`` after downloading it; an existing file is only verified.

    An incomplete download is kept as ``<target>.part``, and a later call resumes it. If several processes request the
    same file at the same time, one of them downloads it.

    Args:
        url: Address of the file; files on Google Drive need the package ``gdown``.
        target: Path of the downloaded file; its folder is created if necessary.
        sha256: Expected SHA-256 digest of the file, hexadecimal; ``None`` if unknown.

    Raises:
        UserError: If the file cannot be downloaded or has another digest. The message names the address and the path
            for a manual download. A download with another digest is removed; a file that existed before is kept.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     existing = Path(folder) / "weights.pt"
        ...     size = existing.write_bytes(b"weights")
        ...     download("https://example.com/weights.pt", existing, sha256=None).name  # no download
        'weights.pt'
    """
    if not target.exists():
        waiting = partial(logger.info, "another process downloads %s: waiting for it", target.name)
        with locked(target.with_name(f".{target.name}.lock"), waiting):
            if not target.exists():
                _fetch(url, target, sha256)
                return target
    actual = file_digest(target)
    if sha256 not in (None, actual):
        raise UserError(f"'{target}' has the SHA-256 {actual}, but must have {sha256}: remove it to download it again")
    return target


def _fetch(url: str, target: Path, sha256: str | None) -> None:
    """Download to ``<target>.part``, verify the file, and rename it to ``target``."""
    part = target.with_name(f"{target.name}.part")
    logger.info("downloading %s to %s", url, target)
    try:
        if urlsplit(url).hostname == "drive.google.com":
            _from_google_drive(url, part)
        else:
            _from_server(url, part)
        actual = file_digest(part)
    except (OSError, HTTPException) as error:
        raise UserError(
            f"cannot download {url} ({_reason(error)}): try again, or put the file at '{target}' by hand"
        ) from error
    if sha256 not in (None, actual):
        part.unlink()
        raise UserError(
            f"{url} was downloaded with the SHA-256 {actual}, but must have {sha256}: it was removed; "
            f"try again, or put the right file at '{target}' by hand"
        )
    part.replace(target)


def _from_server(url: str, part: Path) -> None:
    """Download to ``part``, with a new connection after each broken one."""
    for attempt in range(ATTEMPTS):
        try:
            _receive(url, part)
        except (ConnectionError, TimeoutError, HTTPException) as error:
            if attempt == ATTEMPTS - 1:
                raise
            logger.info("%s: %s; going on", url, _reason(error))
            time.sleep(PAUSE)
        else:
            return


def _receive(url: str, part: Path) -> None:
    """Open one connection and append the missing bytes to ``part``; ConnectionError if it ends too early."""
    here = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "nas"} | ({"Range": f"bytes={here}-"} if here else {})
    try:
        response = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        with error:
            if error.code != 416 or not here:  # 416: the server has no bytes beyond this position
                raise
            if error.headers.get("Content-Range") == f"bytes */{here}":
                return
        part.unlink()
        raise ConnectionError("the file on the server is not the one that was begun") from error
    with response:
        if response.status != 206:  # the server sends the whole file
            here = 0
        length = response.headers.get("Content-Length")
        total = None if length is None else here + int(length)
        with part.open("ab" if here else "wb") as file, _progress(part.stem, here, total) as advance:
            while block := response.read(BLOCK):
                file.write(block)
                advance(len(block))
            file.flush()
            os.fsync(file.fileno())
    size = part.stat().st_size
    if total is not None and size != total:
        raise ConnectionError(f"the connection broke after {size:,} of {total:,} bytes")


def _from_google_drive(url: str, part: Path) -> None:
    """Download by ``gdown``, which handles the warning pages that Google Drive shows before large files."""
    try:
        gdown = import_module("gdown")
    except ImportError as error:
        raise OSError("files on Google Drive need a package: pip install gdown") from error
    found = re.search(r"(?:/d/|[?&]id=)([\w-]+)", url)
    if found is None:
        raise OSError("the address names no file")
    try:
        gdown.download(id=found[1], output=str(part), quiet=not sys.stderr.isatty(), resume=True)
    except Exception as error:  # exceptions of gdown and of its dependencies
        raise OSError(_reason(error)) from error
    if not part.exists():
        raise OSError("gdown got no file")


@contextmanager
def _progress(name: str, done: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar in a terminal, else log lines; yield a function that takes the size of each block."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=console, transient=True) as bars:
            bar = bars.add_task(name, total=total, completed=done)
            yield lambda n: bars.advance(bar, n)
        return
    step = LINES * done // total if total else 0

    def advance(n: int) -> None:
        nonlocal done, step
        done += n
        if total and LINES * done // total > step:
            step = LINES * done // total
            logger.info("%s: %d %% of %.1f MB", name, 100 * done // total, total / 1e6)

    yield advance


def _reason(error: Exception) -> str:
    """Return a short description of an error on one line."""
    if isinstance(error, HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, URLError) and isinstance(error.reason, OSError):
        error = error.reason
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
