"""Processes that end when another one is gone, whatever they are waiting for."""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

WATCH_SECONDS = 1.0
"""Between two looks at whether the other process is still there."""

_PR_SET_PDEATHSIG = 1
"""From ``linux/prctl.h``."""


def end_with_parent(parent: int) -> None:
    """End this process when the one that started it, of this id, is gone."""
    _end_unless(lambda: os.getppid() == parent)


def end_with(process: int) -> None:
    """End this process when another one of this machine is gone."""
    _end_unless(lambda: _is_there(process))


def signal_from_parent(number: int) -> None:
    """Have the system send this process a signal when the one that started it dies. Linux only; elsewhere nothing."""
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
