"""Worker processes of a team that trains one network; the first process starts, controls and ends them."""

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
    """Protocol for the training in one process."""

    def load(self, state: dict[str, Any]) -> None:
        """Resume from this state."""

    def train_epoch(self, *arguments: Any) -> object:
        """Train for an epoch, together with the other processes."""


class Join(Protocol):
    """Protocol for a function that makes the training of a process that joins a team."""

    def __call__(self, *, device: torch.device, team: Team) -> Part:
        """Return the training of this process."""


Replica = Callable[[str], Join]
"""Function that is sent to another process and builds data set and network there, for a device."""

END_SECONDS = 10  # time for a process to end before it is killed
START_SECONDS = 0.2  # interval of checks whether a starting process is alive
READY = "ready"
FAILURE_SECONDS = 1  # time for a failed process to send its traceback


@final
class Members:
    """All processes of a team except the first one. Each waits for epochs to train until the team is closed."""

    def __init__(self, *, size: int, device: torch.device, replica: Replica) -> None:
        """Start ``size - 1`` processes and form a team with them.

        Args:
            size: Number of processes in the team.
            device: Torch device of this process. The others use the GPUs after it, or the CPU.
            replica: Function that builds data set and network in the other processes.
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
        """Send the state of this process to the others, as bytes because they would share its tensors otherwise."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        self._tell(("load", buffer.getvalue()))

    @contextmanager
    def training(self, *arguments: Any) -> Iterator[None]:
        """Start an epoch in all processes with these arguments; this process trains the same epoch in the context.

        Raises:
            RunError: If one of the processes fails; the message holds its error.
        """
        self._tell(("train_epoch", *arguments))
        try:
            yield
        except RuntimeError:  # a collective operation failed because a process ended
            time.sleep(FAILURE_SECONDS)
            self._check()
            raise

    def _check(self) -> None:
        """Raise RunError with the error of a process that failed; do nothing if all run."""
        for connection in self._connections:
            if connection.poll():
                raise _failure(_received(connection))

    def _await(self) -> None:
        """Wait until all processes have built their replica; raise RunError with the error of one that fails."""
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
    """Return the message of a process: that it is ready, or the traceback of its failure."""
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
    """Run the commands of the first process until it closes its end of the connection."""
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
