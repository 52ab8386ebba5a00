"""Processes that end when another process ends, even if they are blocked."""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

WATCH_SECONDS = 1.0
"""Seconds between two checks whether the other process is still running."""

_PR_SET_PDEATHSIG = 1
"""Constant from ``linux/prctl.h``."""


def end_with_parent(parent: int) -> None:
    """End this process when its parent process ends.

    Args:
        parent: Process id of the parent.
    """
    _end_unless(lambda: os.getppid() == parent)


def end_with(process: int) -> None:
    """End this process when another process of the same machine ends.

    Args:
        process: Process id of the other process.
    """
    _end_unless(lambda: _is_there(process))


def signal_from_parent(number: int) -> None:
    """Ask the system to send this process a signal when its parent process dies; no effect except on Linux.

    Args:
        number: Number of the signal.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def _end_unless(there: Callable[[], bool]) -> None:
    def watch() -> None:
        while there():
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _is_there(process: int) -> bool:
    if Path("/proc/self").exists():
        return Path(f"/proc/{process}").exists()
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True
