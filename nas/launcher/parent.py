"""A run's process and the one that watches it."""

import ctypes
import os
import signal
import sys

PARENT = "NAS_PARENT"
"""Environment variable of a watched process: the one that watches it."""

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Have the system stop this process when the one that watches it dies; nothing where none does.

    Otherwise a run would go on outside the SLURM job that it was part of, and nobody would know. Linux only.
    """
    parent = os.environ.pop(PARENT, None)
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it died before
        os.kill(os.getpid(), signal.SIGTERM)
