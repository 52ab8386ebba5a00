"""Files from the internet in a cache: downloads go on where they broke off, are checked, and happen once."""

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
"""Connections made for one download, each where the one before broke."""

PAUSE = 1.0
"""Seconds between two of them."""

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as broken."""

BLOCK = 2**20
LINES = 10
"""Log lines about one download where there is no terminal."""

logger = logging.getLogger(__name__)


def download(url: str, target: Path, sha256: str | None) -> Path:
    """Return ``target``, downloaded unless it is there already.

    What has arrived is kept in ``<target>.part`` until it is whole, and a later call goes on from there. Several
    processes may ask for one file at once: one of them downloads it.

    Args:
        url: The address; files on Google Drive need the package ``gdown``.
        target: The file, in a folder that is made if needed.
        sha256: Expected SHA-256 of the file, hexadecimal; ``None`` if unknown.

    Raises:
        UserError: If the file cannot be had or has another hash; the message names the address and the place to put
            the file by hand. A download with another hash is removed, a file that was there before is not.
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
    """Download to ``target`` by way of ``<target>.part``."""
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
    """Download to ``part``, connecting anew where the connection breaks."""
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
    """Make one connection and append what is missing to ``part``; ConnectionError if it ends too early."""
    here = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "nas"} | ({"Range": f"bytes={here}-"} if here else {})
    try:
        response = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        with error:
            if error.code != 416 or not here:  # 416: the server has nothing from there on
                raise
            if error.headers.get("Content-Range") == f"bytes */{here}":
                return
        part.unlink()
        raise ConnectionError("the file on the server is not the one that was begun") from error
    with response:
        if response.status != 206:  # the server sends the file from its beginning
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
    """Download by ``gdown``, which knows the pages that Google Drive puts before large files."""
    try:
        gdown = import_module("gdown")
    except ImportError as error:
        raise OSError("files on Google Drive need a package: pip install gdown") from error
    found = re.search(r"(?:/d/|[?&]id=)([\w-]+)", url)
    if found is None:
        raise OSError("the address names no file")
    try:
        gdown.download(id=found[1], output=str(part), quiet=not sys.stderr.isatty(), resume=True)
    except Exception as error:  # its own kinds, and those of the libraries below it
        raise OSError(_reason(error)) from error
    if not part.exists():
        raise OSError("gdown got no file")


@contextmanager
def _progress(name: str, done: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar in a terminal, or write log lines; yield what is to be told the bytes of each block."""
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
    """Return what happened in a few words on one line."""
    if isinstance(error, HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, URLError) and isinstance(error.reason, OSError):
        error = error.reason
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
