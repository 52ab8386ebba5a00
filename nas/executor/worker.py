"""A worker process: builds the evaluator once, then evaluates what it is given until its parent is gone."""

import ctypes
import faulthandler
import os
import resource
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from nas.evaluator.base import Evaluator
from nas.executor.base import EvaluatorReplica, evaluated
from nas.executor.gpu_slots import gpu_slot
from nas.team import end_with_parent
from nas.training import checkpoint

READY, FAILED, BEGAN, DONE = "ready", "failed", "began", "done"  # what a worker says
WEIGHTS, EVALUATE = "weights", "evaluate"  # what it is told
HELD_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""What a terminal or a cluster tells all processes of a run; the run's own process decides what it means."""

KILLED_FIRST = 500  # of 1000: where memory is short, Linux ends a worker before the run itself
PR_SET_PDEATHSIG = 1  # from linux/prctl.h
BROKEN_GPU = 70  # exit code


def serve(  # noqa: PLR0917
    parent: int,
    connection: Connection,
    replica: EvaluatorReplica,
    device: str,
    workers_per_gpu: int | None,
    threads: int,
) -> None:
    """Do what the parent says, until its end of the connection is closed.

    Args:
        parent: its process id.
        connection: to it; the first thing that comes is a file, for the stack of a crash.
        replica: builds the evaluator.
        device: where.
        workers_per_gpu: slots of the GPU; one is held while something is evaluated. ``None`` holds nothing.
        threads: of torch and of linear algebra.
    """
    _depend_on(parent)
    with os.fdopen(recv_handle(connection), "wb", 0) as trace:
        faulthandler.enable(trace)
        try:
            torch.set_num_threads(threads)
            if device.startswith("cuda"):
                torch.cuda.set_device(device)
            with threadpool_limits(threads):
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
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(KILLED_FIRST))
    if os.getppid() != parent:
        os._exit(1)
    end_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
