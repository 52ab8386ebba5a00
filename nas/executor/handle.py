"""What the run's process knows about one worker."""

import os
import signal
import tempfile
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import send_handle
from typing import IO, Any, final

from nas.executor.base import EvaluatorReplica
from nas.executor.worker import EVALUATE, HELD_SIGNALS, WEIGHTS, serve
from nas.types import Architecture

END_SECONDS = 5.0  # that a worker has to end by itself
ABORT_SECONDS = 2.0  # that a hanging one has to say where it hangs
TRACE_BYTES = 20_000  # of the stack of a crash that are kept


@final
class Handle:
    """A worker process from its start to its end.

    Attributes:
        connection: to the worker.
        sentinel: is ready when the worker is dead.
        slot: which of the pool's places it has.
        part: indices of the architectures that it evaluates, or ``None``.
        digest: of the weights that it has.
        ready: whether it has built its evaluator.
        deadline: when what it does has to be done, in seconds of ``time.monotonic``; ``None`` for no limit.
    """

    def __init__(  # noqa: PLR0917
        self,
        slot: int,
        replica: EvaluatorReplica,
        device: str,
        workers_per_gpu: int | None,
        threads: int,
        start_timeout: float,
    ) -> None:
        """Start the process; it says when it is ready."""
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._trace: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- open as long as the worker
        arguments = (os.getpid(), theirs, replica, device, workers_per_gpu, threads)
        self._process = context.Process(target=serve, args=arguments, name=f"worker {slot}")
        with _signals_held():
            self._process.start()
        theirs.close()
        self._end = weakref.finalize(self, _end, self.connection, self._process, self._trace)
        self.sentinel = self._process.sentinel
        self.slot = slot
        self.part: list[int] | None = None
        self.digest: str | None = None
        self.ready = False
        self.deadline: float | None = time.monotonic() + start_timeout
        with suppress(OSError):  # it is dead already, which is noticed elsewhere
            send_handle(self.connection, self._trace.fileno(), self._process.pid or 0)

    @property
    def idle(self) -> bool:
        """Whether it waits for something to do."""
        return self.ready and self.part is None

    def load(self, digest: str, weights: IO[bytes]) -> None:
        """Let it take the weights of a file, which need not have a name."""
        self.connection.send((WEIGHTS,))
        send_handle(self.connection, weights.fileno(), self._process.pid or 0)
        self.digest = digest

    def evaluate(self, split: str, part: list[int], architectures: Sequence[Architecture]) -> None:
        """Let it evaluate a part of the architectures."""
        self.connection.send((EVALUATE, split, architectures))
        self.part = part

    def receive(self) -> tuple[str, Any] | None:
        """Return what it says, or ``None`` where it is dead."""
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            return None
        return kind, content

    @property
    def dead(self) -> bool:
        """Whether the process is gone, even where one that it started keeps the connection open."""
        return self._process.exitcode is not None

    def overdue(self, now: float) -> bool:
        """Whether it should be done by now."""
        return self.deadline is not None and now > self.deadline

    def abort(self) -> None:
        """End it where it hangs; it leaves its stack."""
        if self._process.pid is not None:
            os.kill(self._process.pid, signal.SIGABRT)
            self._process.join(ABORT_SECONDS)

    def bury(self) -> tuple[str, str]:
        """End what is left of it; return how it died, and its stack where it left one."""
        self._process.join(0 if self.dead else ABORT_SECONDS)
        code = self._process.exitcode
        stack = os.pread(self._trace.fileno(), TRACE_BYTES, 0).decode(errors="replace")
        self.kill()
        return _how(code), stack

    def kill(self) -> None:
        """End it at once."""
        _kill(self._process)
        self._end()

    def close(self) -> None:
        """Let it end by itself; it is killed where it takes too long."""
        self._end()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Start a process that inherits blocked signals, until it has decided what to do with them."""
    resource_tracker.ensure_running()  # starting it would unblock some
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(connection: Any, process: BaseProcess, trace: IO[bytes]) -> None:
    connection.close()
    process.join(END_SECONDS)
    _kill(process)
    process.join()
    process.close()
    trace.close()


def _kill(process: BaseProcess) -> None:
    """Kill a worker and what it started."""
    if process.pid is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _how(code: int | None) -> str:
    if code is None:
        return "it did not end"
    if code >= 0:
        return f"it ended with exit code {code}"
    memory = ", as the system does where memory is short" if -code == signal.SIGKILL else ""
    return f"it was killed by {signal.Signals(-code).name}{memory}"
