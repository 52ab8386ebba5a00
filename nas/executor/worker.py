"""A worker process, from both sides: what it does until its parent is gone, and what the run's process knows of it."""

import faulthandler
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import recv_handle, send_handle
from pathlib import Path
from typing import IO, Any, final

from nas.evaluator.base import Evaluator
from nas.executor.base import EvaluatorReplica, evaluated
from nas.executor.gpu_slots import gpu_slot
from nas.lifetime import end_with_parent, signal_from_parent
from nas.types import Architecture

READY, FAILED, BEGAN, DONE = "ready", "failed", "began", "done"  # what a worker says
WEIGHTS, EVALUATE = "weights", "evaluate"  # what it is told
HELD_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""What a terminal or a cluster tells all processes of a run; the run's own process decides what it means."""

KILLED_FIRST = 500  # of 1000: where memory is short, Linux ends a worker before the run itself
BROKEN_GPU = 70  # exit code


def serve(
    parent: int,
    connection: Connection,
    replica: EvaluatorReplica,
    device: str,
    workers_per_gpu: int | None,
) -> None:
    """Do what the parent says, until its end of the connection is closed.

    Args:
        parent: its process id.
        connection: to it; the first thing that comes is a file, for the stack of a crash.
        replica: builds the evaluator.
        device: where.
        workers_per_gpu: slots of the GPU; one is held while something is evaluated. ``None`` holds nothing.
    """
    _depend_on(parent)
    with os.fdopen(recv_handle(connection), "wb", 0) as trace:
        faulthandler.enable(trace)
        try:
            evaluator = replica(device)
            connection.send((READY, None))
            for message in _messages(connection):
                _obey(message, evaluator, connection, device, workers_per_gpu)
        except BaseException:
            with suppress(OSError):
                connection.send((FAILED, traceback.format_exc()))
            os._exit(1)


def _messages(connection: Connection) -> Iterator[tuple[Any, ...]]:
    with suppress(EOFError, ConnectionResetError):
        while True:
            yield connection.recv()


def _obey(
    message: tuple[Any, ...], evaluator: Evaluator, connection: Connection, device: str, workers_per_gpu: int | None
) -> None:
    if message[0] == WEIGHTS:
        from nas.training import checkpoint

        descriptor = recv_handle(connection)
        weights = checkpoint.load(Path(f"/dev/fd/{descriptor}"))
        os.close(descriptor)
        if weights is None:
            raise ValueError("the weights that were handed over are damaged")
        evaluator.load(weights)
        return
    _, split, architectures = message
    with gpu_slot(device, workers_per_gpu):
        connection.send((BEGAN, None))
        evaluations = evaluated(evaluator, split, architectures)
        if not all(evaluation.ok for evaluation in evaluations) and _is_broken(device):
            os._exit(BROKEN_GPU)  # nothing would succeed in this process any more
    connection.send((DONE, evaluations))


def _is_broken(device: str) -> bool:
    """Whether an error has left this process unable to use its GPU; running out of memory does not."""
    if not device.startswith("cuda"):
        return False
    import torch

    try:
        torch.cuda.empty_cache()
        torch.cuda.synchronize(device)
    except RuntimeError:
        return True
    return False


def _depend_on(parent: int) -> None:
    """End with the parent, be killed before it, and leave to it what terminals and clusters say."""
    os.setsid()  # a group of its own, with the processes that it may start
    for number in HELD_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
    signal_from_parent(signal.SIGKILL)
    if sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(KILLED_FIRST))
    if os.getppid() != parent:
        os._exit(1)
    end_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


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

    def __init__(
        self,
        slot: int,
        replica: EvaluatorReplica,
        device: str,
        workers_per_gpu: int | None,
        start_timeout: float,
    ) -> None:
        """Start the process; it says when it is ready."""
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._trace: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- open as long as the worker
        arguments = (os.getpid(), theirs, replica, device, workers_per_gpu)
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
