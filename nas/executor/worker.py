"""Worker process: the loop that runs inside it, and the handle that the run's process has of it."""

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

READY, FAILED, BEGAN, DONE = "ready", "failed", "began", "done"  # messages of a worker
WEIGHTS, EVALUATE = "weights", "evaluate"  # messages to a worker
HELD_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that a terminal or a cluster sends to all processes of a run. Only the run's own process handles them."""

KILLED_FIRST = 500  # OOM score, at most 1000: when memory is short, Linux kills a worker before the run itself
BROKEN_GPU = 70  # exit code


def serve(
    parent: int,
    connection: Connection,
    replica: EvaluatorReplica,
    device: str,
    workers_per_gpu: int | None,
) -> None:
    """Serve the parent's requests until the parent closes its end of the connection.

    Args:
        parent: Process ID of the parent.
        connection: Connection to the parent. The first message is a file for the stack trace of a crash.
        replica: Function that builds the evaluator.
        device: Torch device of the evaluator.
        workers_per_gpu: Number of slots of the GPU; one is held during an evaluation. ``None`` holds nothing.
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
            os._exit(BROKEN_GPU)  # no later evaluation could succeed in this process
    connection.send((DONE, evaluations))


def _is_broken(device: str) -> bool:
    """Return whether an error has left this process unable to use its GPU; running out of memory does not."""
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
    """End with the parent, be killed before it, and leave signals of terminals and clusters to it."""
    os.setsid()  # own process group for the worker and its children
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


END_SECONDS = 5.0  # time for a worker to end by itself
ABORT_SECONDS = 2.0  # time for a hanging worker to write its stack trace
TRACE_BYTES = 20_000  # kept of the stack trace of a crash


@final
class Handle:
    """Handle of a worker process from its start to its end.

    Attributes:
        connection: Connection to the worker.
        sentinel: Object that becomes ready when the worker is dead.
        slot: Index of the worker's place in the pool.
        part: Indices of the architectures that the worker evaluates; ``None`` if it is idle.
        digest: Digest of the worker's weights; ``None`` for those it was built with.
        ready: Whether the worker has built its evaluator.
        deadline: Deadline of the current task, in seconds of ``time.monotonic``; ``None`` for no limit.
    """

    def __init__(
        self,
        slot: int,
        replica: EvaluatorReplica,
        device: str,
        workers_per_gpu: int | None,
        start_timeout: float,
    ) -> None:
        """Start the process; it sends a message when it is ready.

        Args:
            slot: Index of the worker's place in the pool.
            replica: Function that builds the evaluator.
            device: Torch device of the evaluator.
            workers_per_gpu: Number of slots of the GPU; ``None`` holds nothing.
            start_timeout: Time limit for the start, in seconds.
        """
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
        with suppress(OSError):  # the worker is dead already; _noticed in workers.py finds out
            send_handle(self.connection, self._trace.fileno(), self._process.pid or 0)

    @property
    def idle(self) -> bool:
        """Whether the worker waits for a task."""
        return self.ready and self.part is None

    def load(self, digest: str, weights: IO[bytes]) -> None:
        """Send weights to the worker.

        Args:
            digest: Digest of the weights.
            weights: File with the weights; it may be unnamed.
        """
        self.connection.send((WEIGHTS,))
        send_handle(self.connection, weights.fileno(), self._process.pid or 0)
        self.digest = digest

    def evaluate(self, split: str, part: list[int], architectures: Sequence[Architecture]) -> None:
        """Send a part of the architectures to the worker.

        Args:
            split: Split to evaluate on.
            part: Indices of the architectures.
            architectures: Architectures to evaluate.
        """
        self.connection.send((EVALUATE, split, architectures))
        self.part = part

    def receive(self) -> tuple[str, Any] | None:
        """Return the worker's next message as (kind, content); ``None`` if the worker is dead."""
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            return None
        return kind, content

    @property
    def dead(self) -> bool:
        """Whether the process has ended.

        It is also true if a process that the worker started keeps the connection open.
        """
        return self._process.exitcode is not None

    def overdue(self, now: float) -> bool:
        """Return whether the deadline has passed."""
        return self.deadline is not None and now > self.deadline

    def abort(self) -> None:
        """Abort a hanging worker, which writes its stack trace first."""
        if self._process.pid is not None:
            os.kill(self._process.pid, signal.SIGABRT)
            self._process.join(ABORT_SECONDS)

    def bury(self) -> tuple[str, str]:
        """End all that is left of a dead worker; return how it died, and its stack trace or an empty text."""
        self._process.join(0 if self.dead else ABORT_SECONDS)
        code = self._process.exitcode
        stack = os.pread(self._trace.fileno(), TRACE_BYTES, 0).decode(errors="replace")
        self.kill()
        return _how(code), stack

    def kill(self) -> None:
        """Kill the worker at once."""
        _kill(self._process)
        self._end()

    def close(self) -> None:
        """Let the worker end by itself; kill it if it takes too long."""
        self._end()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Block signals while a process starts; it inherits the block until it has set its own handlers."""
    resource_tracker.ensure_running()  # starting it later would unblock some of the signals
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
    """Kill a worker and the processes that it started."""
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
