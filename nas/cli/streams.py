"""Signals and standard streams of the process of a command line, set before anything large is imported."""

import io
import os
import select
import signal
import sys
from errno import EIO, EPIPE
from types import FrameType
from typing import NoReturn, final

_GONE = (EPIPE, EIO)  # of a pipe without a reader, and of a terminal that was closed


@final
class Unfailing(io.FileIO):
    """File of a standard stream that drops what cannot be written.

    Attributes:
        error: First error other than that of a reader that is gone, for example of a full disk; ``None`` without one.
    """

    error: OSError | None = None

    def write(self, data: object) -> int:
        """Write bytes, or drop them where that fails; return how many were taken."""
        size = memoryview(data).nbytes  # type: ignore[arg-type]  # bytes-like, as of io.FileIO
        try:
            while (written := super().write(data)) is None:  # type: ignore[arg-type]
                select.select([], [self], [])  # a non-blocking pipe that is full
            return written
        except OSError as error:
            if error.errno not in _GONE and self.error is None:
                self.error = error
            return size


def end_at_interrupts() -> None:
    """Let Ctrl-C end the process at once with exit code 130, until :func:`raise_interrupts` is called.

    Where the signal is ignored, as in the background of a shell script, it stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_interrupts() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again: from now on there is work that must be put down in order."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def outlive_readers() -> None:
    """Make this process go on, silently, when nobody reads its output any more: what is printed is not its purpose.

    That is so after ``| head``, where a pager quits, a terminal is closed or a disk is full. A letter that the encoding
    of the output lacks is written as its number. Streams that are closed from the start write to nowhere: otherwise the
    next file that is opened would take their place, and what child processes print would go into it.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
            if number == 0:
                sys.stdin = open(0, closefd=False)  # noqa: SIM115 -- for as long as the process lives
        if number > 0:
            setattr(sys, name, _unfailing(number, getattr(sys, name)))


def lost_output() -> OSError | None:
    """Return why output of this process was lost, though its reader was there; ``None`` where none was."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        raw = getattr(getattr(stream, "buffer", None), "raw", None)
        if isinstance(raw, Unfailing) and raw.error is not None:
            return raw.error
    return None


def _end(number: int, _: FrameType | None) -> NoReturn:
    os._exit(128 + number)


def _unfailing(number: int, stream: io.TextIOWrapper | None) -> io.TextIOWrapper:
    """Return a text stream to a file descriptor with the encoding and the buffering of ``stream``."""
    errors = getattr(stream, "errors", None) or "strict"
    return io.TextIOWrapper(
        io.BufferedWriter(Unfailing(number, "wb", closefd=False)),
        encoding=getattr(stream, "encoding", "utf-8"),
        errors="backslashreplace" if errors == "strict" else errors,
        line_buffering=getattr(stream, "line_buffering", False) or getattr(stream, "write_through", False),
    )
