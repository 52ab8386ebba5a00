"""What a job of ``executor=submitit`` does on its machine, and the files in which it says what it found out."""

import hashlib
import json
import logging
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nas.executor.base import EvaluatorReplica
from nas.executor.workers import Limits, Weights, Workers, split_up
from nas.files import read_sealed, sealed, write_json
from nas.lifetime import end_with
from nas.types import Architecture, Evaluation

log = logging.getLogger(__name__)


@final
class ResultFiles:
    """A folder of JSON files with checksums, each named after its genome, of one split and one state of the weights."""

    def __init__(self, folder: Path, split: str, weights: str | None) -> None:
        """Name the folder.

        Args:
            folder: where results are; splits and weights have folders of their own in it.
            split: of the data.
            weights: digest of those that were evaluated.
        """
        self._folder = folder / f"{split}-{(weights or 'none')[:16]}"
        self._facts = {"split": split, "weights": weights}

    def write(self, architecture: Architecture, evaluation: Evaluation) -> None:
        """Write a result; its file is whole or absent."""
        content = self._facts | {"genome": list(architecture.genome), "metrics": dict(evaluation.metrics)}
        content |= {"error": evaluation.error}
        write_json(self._path(architecture), sealed(content))

    def names(self) -> set[str]:
        """Return the names of all files that are there."""
        return {path.name for path in self._folder.iterdir()} if self._folder.exists() else set()

    def read(self, architecture: Architecture, names: set[str]) -> Evaluation | None:
        """Return a result if its file is among ``names`` and good; a damaged one is removed, with a warning."""
        path = self._path(architecture)
        if path.name not in names:
            return None
        try:
            content = read_sealed(path)
            if content.items() >= (self._facts | {"genome": list(architecture.genome)}).items():
                return Evaluation(content["metrics"], error=content["error"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            pass
        log.warning("%s is damaged; the architecture is evaluated again", path)
        path.unlink(missing_ok=True)
        return None

    def remove(self, architectures: Iterable[Architecture]) -> None:
        """Remove results that are kept elsewhere."""
        for architecture in architectures:
            self._path(architecture).unlink(missing_ok=True)

    def _path(self, architecture: Architecture) -> Path:
        name = hashlib.sha256(json.dumps(list(architecture.genome)).encode()).hexdigest()[:32]
        return self._folder / f"{name}.json"


LOOKS = 2  # one after the other that must not see a job: its files may arrive later than its end


@final
class Outstanding:
    """The books of a batch whose architectures are evaluated by jobs elsewhere.

    Attributes:
        left: indices of the architectures without a result.
        jobs: indices that each job was given, by the job's name.
    """

    def __init__(self, architectures: Sequence[Architecture], files: ResultFiles) -> None:
        """Begin with no job and no result."""
        self.left = set(range(len(architectures)))
        self.jobs: dict[str, list[int]] = {}
        self._architectures = architectures
        self._files = files
        self._unseen: Counter[str] = Counter()
        self._attempts: Counter[int] = Counter()

    def found(self, failures: bool) -> Iterator[tuple[int, Evaluation]]:
        """Yield (index, evaluation) of results that have arrived, each once.

        Args:
            failures: whether failed evaluations count; those of an earlier process do not, and are removed.
        """
        names = self._files.names()
        for index in sorted(self.left):
            architecture = self._architectures[index]
            evaluation = self._files.read(architecture, names)
            if evaluation is None:
                continue
            if evaluation.ok or failures:
                self.left.discard(index)
                yield index, evaluation
            else:
                self._files.remove([architecture])

    def clear(self) -> None:
        """Remove all results: until now, jobs that SLURM puts back into its queue see what they need not do again."""
        self._files.remove(self._architectures)

    def gone(self, expected: set[str]) -> list[str]:
        """Return the jobs that were not among the expected ones at the last looks."""
        for name in self.jobs:
            self._unseen[name] = 0 if name in expected else self._unseen[name] + 1
        return [name for name in self.jobs if self._unseen[name] >= LOOKS]

    def bury(self, name: str, retries: int) -> tuple[list[int], list[list[int]]]:
        """Strike out a job.

        It counts against its architectures only if it finished none of them; then each is tried alone.

        Args:
            name: of the job.
            retries: how often it may count.

        Returns:
            The architectures that have failed, and what further jobs should do.
        """
        given = self.jobs.pop(name)
        rest = [index for index in given if index in self.left]
        if len(rest) < len(given):
            return [], [rest] if rest else []
        self._attempts.update(rest)
        failed = [index for index in rest if self._attempts[index] > retries]
        self.left.difference_update(failed)
        return failed, [[index] for index in rest if index not in failed]


def chunks(groups: Sequence[Sequence[int]], most: int) -> list[list[int]]:
    """Return the members of groups in order, ``most`` at a time: those of a group stay together where they can."""
    members = [index for group in groups for index in group]
    return [members[at : at + most] for at in range(0, len(members), most)]


@dataclass(frozen=True)
class EvaluationJob:
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
            end_with(self.run)
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
