"""What a job of ``executor=submitit`` does on its machine."""

import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from nas.executor.base import EvaluatorReplica
from nas.executor.places import split_up
from nas.executor.submitit_results import ResultFiles
from nas.executor.workers import Limits, Weights, Workers
from nas.types import Architecture

WATCH_SECONDS = 1.0  # between two looks at whether the run is still there


@dataclass(frozen=True)
class Job:
    """Evaluates architectures in workers of its own, as ``executor=process`` does, and writes what it finds.

    What is there already is not evaluated again, so that a job which SLURM puts back into its queue goes on.

    Attributes:
        replica: builds the evaluator.
        groups: of architectures; those of one are evaluated together.
        split: of the data.
        digest, weights: of the weights, and the file where they are; ``None`` leaves the replica's.
        results: folder of results.
        gpu: whether to use the GPUs that the job sees.
        workers_per_gpu: workers on each.
        cpus: of the job; without GPUs they are divided among workers.
        threads: of each worker.
        limits: of workers' lives.
        run: process of this machine that the job must not outlive; ``None`` where it is elsewhere.
    """

    replica: EvaluatorReplica
    groups: Sequence[Sequence[Architecture]]
    split: str
    digest: str | None
    weights: Path | None
    results: Path
    gpu: bool
    workers_per_gpu: int
    cpus: int
    threads: int
    limits: Limits
    run: int | None

    @property
    def architectures(self) -> list[Architecture]:
        """All of them."""
        return [architecture for group in self.groups for architecture in group]

    def __call__(self) -> None:
        """Evaluate what has no result yet."""
        _keep_working()
        if self.run is not None:
            _end_with(self.run)
        files = ResultFiles(self.results, self.split, self.digest)
        names = files.names()
        missing = [a for a in self.architectures if files.read(a, names) is None]
        if not missing:
            return
        devices = self._devices()
        workers = Workers(
            replica=self.replica,
            devices=devices,
            workers_per_gpu=self.workers_per_gpu,
            limits=self.limits,
        )
        left = {architecture.genome: index for index, architecture in enumerate(missing)}
        groups = [[left[a.genome] for a in group if a.genome in left] for group in self.groups]
        with closing(workers):
            for index, evaluation in workers.map(missing, split_up(groups, len(devices)), self.split, self._handed()):
                files.write(missing[index], evaluation)

    def _devices(self) -> tuple[str, ...]:
        if not self.gpu:
            return ("cpu",) * max(1, self.cpus // self.threads)
        import torch

        gpus = range(torch.cuda.device_count())
        if not gpus:
            raise RuntimeError("this machine shows the job no GPU")
        return tuple(f"cuda:{index}" for _ in range(self.workers_per_gpu) for index in gpus)

    def _handed(self) -> Weights | None:
        if self.digest is None or self.weights is None:
            return None
        return Weights(self.digest, self.weights.open("rb"))


def _keep_working() -> None:
    """Work on until the end: SLURM warns of preemption and time limits, but what is finished is on disk anyway.

    Whether the job comes back is decided by SLURM after preemption, and by the run otherwise.
    """
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT):
        signal.signal(number, signal.SIG_IGN)


def _end_with(process: int) -> None:
    """End this process when another one of this machine is gone."""

    def watch() -> None:
        while Path(f"/proc/{process}").exists() if Path("/proc/self").exists() else _is_there(process):
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True
