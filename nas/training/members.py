"""The other processes of a team that trains one network: started, fed and ended by the first one."""

import io
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol, final

import torch
from torch import multiprocessing

from nas.errors import RunError
from nas.lifetime import end_with_parent
from nas.team import Team, join, leave


class Part(Protocol):
    """What trains in one process."""

    def load(self, state: dict[str, Any]) -> None:
        """Go on from this state."""

    def train_epoch(self, *arguments: Any) -> object:
        """Train an epoch, together with the other processes."""


class Join(Protocol):
    """Makes what trains in a process, as a member of a team."""

    def __call__(self, *, device: torch.device, team: Team) -> Part:
        """Return what trains."""


Replica = Callable[[str], Join]
"""Builds what is trained anew, for a device; it is sent to other processes."""

END_SECONDS = 10  # that a process has to end by itself
START_SECONDS = 0.2  # between two looks at whether a process is still there
READY = "ready"
FAILURE_SECONDS = 1  # that a process has to say what happened to it


@final
class Members:
    """All processes of a team but this one. Each waits for an epoch to train, until the team is closed or dies."""

    def __init__(self, *, size: int, device: torch.device, replica: Replica) -> None:
        """Start ``size - 1`` processes and form a team with them.

        Args:
            size: Number of processes in the team.
            device: Torch device of this process; the others use the GPUs after it, or the CPU.
            replica: Builds what the others train.
        """
        context = multiprocessing.get_context("spawn")
        self._folder = tempfile.TemporaryDirectory(prefix="nas-team-")
        address = (Path(self._folder.name) / "meeting").as_uri()
        self._connections: list[Connection] = []
        self._processes: list[BaseProcess] = []
        threads = torch.get_num_threads()
        for rank in range(1, size):
            ours, theirs = context.Pipe()
            place = _device_of(device, rank)
            arguments = (os.getpid(), rank, size, address, place, replica, threads, theirs)
            process = context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self._connections.append(ours)
            self._processes.append(process)
        self._await()
        self.team: Team = join(0, size, address, torch.device(_device_of(device, 0)))

    def load(self, state: dict[str, Any]) -> None:
        """Give all processes the state of this one, as bytes: tensors would stay shared with them."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        self._tell(("load", buffer.getvalue()))

    @contextmanager
    def training(self, *arguments: Any) -> Iterator[None]:
        """Let all processes train an epoch with these arguments, while this one does the same.

        Raises:
            RunError: If one of them fails, with what happened there.
        """
        self._tell(("train_epoch", *arguments))
        try:
            yield
        except RuntimeError:  # the team fell apart
            time.sleep(FAILURE_SECONDS)
            self._check()
            raise

    def _check(self) -> None:
        """Raise RunError with what happened in a process that failed."""
        for connection in self._connections:
            if connection.poll():
                raise _failure(_received(connection))

    def _await(self) -> None:
        """Wait until all processes have built what they train; RunError with what happened where one fails."""
        for connection, process in zip(self._connections, self._processes, strict=True):
            while not connection.poll(START_SECONDS) and process.is_alive():
                pass
            message = _received(connection)
            if message != READY:
                self.close()
                raise _failure(message)

    def close(self) -> None:
        """End the processes."""
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.join(END_SECONDS)
            process.kill()
        leave()
        self._folder.cleanup()

    def _tell(self, message: tuple[Any, ...]) -> None:
        self._check()
        for connection in self._connections:
            connection.send(message)


def _received(connection: Connection) -> str:
    """Return what a process says: that it is ready, or the traceback of its failure."""
    try:
        return str(connection.recv())
    except EOFError:
        return "it was killed"


def _failure(message: str) -> RunError:
    return RunError(f"a process of the training team failed: {message.strip().splitlines()[-1]}")


def _device_of(device: torch.device, rank: int) -> str:
    return f"cuda:{(device.index or 0) + rank}" if device.type == "cuda" else device.type


def _serve(  # noqa: PLR0917
    parent: int,
    rank: int,
    size: int,
    address: str,
    device: str,
    replica: Replica,
    threads: int,
    connection: Connection,
) -> None:
    """Do what the first process says, until its end of the connection is closed."""
    end_with_parent(parent)
    torch.set_num_threads(threads)
    try:
        joined = replica(device)
        place = torch.device(device)
        connection.send(READY)
        part = joined(device=place, team=join(rank, size, address, place))
        while True:
            try:
                name, *arguments = connection.recv()
            except EOFError:
                break
            if name == "load":
                part.load(torch.load(io.BytesIO(arguments[0]), map_location="cpu", weights_only=True))
            else:
                part.train_epoch(*arguments)
        leave()
    except BaseException:
        connection.send(traceback.format_exc())
        os._exit(1)
