"""An evaluator that does to its process what an architecture's configuration says; its workers start without torch."""

import ctypes
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.evaluator.base import Evaluator
from nas.types import Architecture

MEMORY_CGROUP = Path("/sys/fs/cgroup/memory")
LIMIT_MIB = 300


class Misbehaving(Evaluator):
    """Metrics are the first gene and the process; each evaluation leaves a line in ``log``."""

    def __init__(self, folder: Path, at_once: int = 1) -> None:
        self.folder = folder
        self.at_once = at_once
        self.value = np.zeros(2)

    def groups(self, architectures: Sequence[Architecture]) -> list[list[int]]:
        indices = list(range(len(architectures)))
        return [indices[at : at + self.at_once] for at in range(0, len(indices), self.at_once)]

    def weights(self) -> Mapping[str, Any]:
        import torch

        return {"value": torch.from_numpy(self.value)}

    def load(self, weights: Mapping[str, Any]) -> None:
        self.value = weights["value"].numpy().copy()

    def __call__(self, architectures: Sequence[Architecture], split: str) -> Sequence[Mapping[str, float]]:
        return [self.one(architecture) for architecture in architectures]

    def one(self, architecture: Architecture) -> Mapping[str, float]:
        gene = architecture.genome[0]
        with (self.folder / "log").open("a") as log:
            log.write(f"{gene} {os.getpid()}\n")
        does, _, when = architecture.config["does"].partition(" ")
        if when != "once" or self.log().count(gene) == 1:
            getattr(self, does)()
        return {"top1": float(gene), "process": float(os.getpid()), "value": float(self.value.sum())}

    def log(self) -> list[int]:
        """Return the genes of all evaluations, in any process, so far."""
        lines = (self.folder / "log").read_text().splitlines() if (self.folder / "log").exists() else []
        return [int(line.split()[0]) for line in lines]

    def pids(self) -> set[int]:
        """Return the processes of all evaluations so far."""
        lines = (self.folder / "log").read_text().splitlines() if (self.folder / "log").exists() else []
        return {int(line.split()[1]) for line in lines if len(line.split()) == 2}

    def nothing(self) -> None:
        pass

    def takes_time(self) -> None:
        time.sleep(0.05)

    def meet(self) -> None:
        """Wait until two processes are at work."""
        end = time.monotonic() + 60
        while len(self.pids()) < 2 and time.monotonic() < end:
            time.sleep(0.01)

    def error(self) -> None:
        raise ZeroDivisionError("bad one")

    def kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def segfault(self) -> None:
        ctypes.string_at(0)

    def leave(self) -> None:
        os._exit(3)

    def hang(self) -> None:
        time.sleep(1000)

    def hang_with_the_interpreter(self) -> None:
        ctypes.PyDLL(None).sleep(1000)  # no other thread of the process runs meanwhile

    def stop(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def memory(self) -> None:
        """Take more memory than there is for this process."""
        group = MEMORY_CGROUP / f"nas-test-{os.getpid()}"
        group.mkdir()
        for limit in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"):  # the second one counts swapping too
            if (group / limit).exists():
                (group / limit).write_text(str(LIMIT_MIB * 2**20))
        (group / "cgroup.procs").write_text(str(os.getpid()))
        taken = [np.ones(13 * 2**20) for _ in range(2 * LIMIT_MIB // 100)]
        raise AssertionError(f"there was memory for {len(taken)} times 100 MiB")


def architectures(*does: str) -> list[Architecture]:
    """Return architectures that do these things, in order."""
    return [Architecture((gene,), {"does": what}) for gene, what in enumerate(does)]


def make(folder: Path, at_once: int, device: str) -> Misbehaving:
    """Build the evaluator in a worker."""
    return Misbehaving(folder, at_once)


def cannot_be_made(device: str) -> Misbehaving:
    raise FileNotFoundError("no such data")


def dies_while_made(device: str) -> Misbehaving:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def never_made(device: str) -> Misbehaving:
    time.sleep(1000)
    raise AssertionError
