"""Status file of a run, ``status.json``, which is correct even after its process was killed."""

import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from nas.files import read_json, write_json
from nas.run.lease import holder

HEARTBEAT_SECONDS = 10.0
"""Between two signs of life of a running process."""

STALE_SECONDS = 6 * HEARTBEAT_SECONDS
"""After so long without one, a process on another host counts as dead."""

_NOT_KEPT = ("state", "error", "host", "pid", "job", "heartbeat", "updated")
_STOPPING = (signal.SIGTERM, signal.SIGUSR2)  # SLURM's: the end of a job, and its announcement

log = logging.getLogger(__name__)


@contextmanager
def repeated(call: Callable[[], None], seconds: float, name: str) -> Iterator[None]:
    """Call a function every ``seconds`` in a thread while the context lasts.

    Args:
        call: The function; it must not raise.
        seconds: Between two calls.
        name: Name of the thread.
    """
    ended = threading.Event()

    def loop() -> None:
        while not ended.wait(seconds):
            call()

    thread = threading.Thread(target=loop, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class StatusFile:
    """The status file of one run.

    ==============================  =================================================================
    ``state``                       ``queued``, ``running``, ``finished``, ``failed`` or ``interrupted``
    ``step``, ``steps``             the last complete step, and how many there are; steps count from 0
    ``hypervolume``, ``failed``     of the front so far; evaluations that failed so far
    ``box``                         box of the hypervolume, in words
    ``error``                       last line of the error of a failed or interrupted run
    ``host``, ``pid``, ``job``      of the process that wrote it; ``job`` is SLURM's
    ``elapsed``                     seconds of work so far, of all processes together
    ``heartbeat``, ``updated``      time of the last sign of life, and of the last change; UTC
    ==============================  =================================================================

    A killed process leaves the state ``running``; :func:`observed` detects such runs.
    """

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is read or written."""
        self._path = path
        self._lock = threading.RLock()  # a signal's handler may write while its own thread does
        self._before: float | None = None  # seconds of work of earlier processes
        self._began = 0.0
        self._said: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """Return what the file says; nothing where it is absent or damaged."""
        try:
            facts = read_json(self._path)
            return facts if isinstance(facts, dict) else {}
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}

    def write(self, state: str, **facts: Any) -> None:
        """Write a state and further facts; earlier facts about progress stay."""
        with self._lock:
            known = {key: value for key, value in self.read().items() if key not in _NOT_KEPT}
            place = {"host": socket.gethostname(), "pid": os.getpid(), "job": slurm_job()}
            if self._before is not None:
                place["elapsed"] = round(self._before + time.monotonic() - self._began, 3)
            now = _now()
            facts = {"state": state, "error": None} | known | facts | place | {"heartbeat": now, "updated": now}
            self._said = facts
            write_json(self._path, facts, indent=2)

    def _beat(self) -> None:
        with self._lock:  # what this process said last, whatever is in the file
            elapsed = round((self._before or 0.0) + time.monotonic() - self._began, 3)
            write_json(self._path, self._said | {"elapsed": elapsed, "heartbeat": _now()}, indent=2)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the file up to date while a run is executed inside: ``running``, then how the run ended.

        SIGTERM and SIGUSR2 end the process at once with ``interrupted`` in the file. SLURM sends them to every process
        of a job, helper processes of trackers included, so an orderly end of trackers is impossible.
        """
        self._before, self._began = float(self.read().get("elapsed", 0.0)), time.monotonic()
        self.write("running")
        with self._heartbeats(), self._signals():
            try:
                yield
            except BaseException as error:
                state = "failed" if isinstance(error, Exception) else "interrupted"
                with suppress(OSError):  # a full disk must not hide what happened
                    self.write(state, error=f"{type(error).__name__}: {last_line(error)}".strip(": "))
                raise
            self.write("finished")

    @contextmanager
    def _heartbeats(self) -> Iterator[None]:
        def beat() -> None:
            with suppress(OSError):
                self._beat()

        with repeated(beat, HEARTBEAT_SECONDS, "heartbeat"):
            yield

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may choose what signals do
            return
        before = {number: signal.signal(number, self._stop) for number in _STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, _: FrameType | None) -> NoReturn:
        for process in multiprocessing.active_children():
            process.kill()
        with suppress(OSError):
            self.write("interrupted", error=f"stopped by {signal.Signals(number).name}")
        os._exit(128 + number)


def observed(folder: Path) -> dict[str, Any]:
    """Return the content of the status file of a run folder; the state is ``killed`` if its process is dead.

    A running process holds the folder's lease. If no lease is visible, the process may run on another host whose locks
    are not visible here; then the heartbeat decides.
    """
    facts = StatusFile(folder / "status.json").read()
    if facts.get("state") == "running" and holder(folder) is None:
        elsewhere = facts.get("host") != socket.gethostname()
        if not (elsewhere and _age(facts) < STALE_SECONDS):
            again = StatusFile(folder / "status.json").read()  # it may have ended meanwhile
            return facts | {"state": "killed"} if again.get("state") == "running" else again
    return facts


def slurm_job() -> str | None:
    """Return the SLURM job that this process is part of, for example ``"71_4"``; ``None`` outside."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def last_line(error: BaseException) -> str:
    """Return the last line of an error's message, ``""`` where it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _age(facts: Mapping[str, Any]) -> float:
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(str(facts["heartbeat"]))).total_seconds()
    except (KeyError, ValueError, TypeError):
        return float("inf")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
