"""Jobs of ``executor=submitit``: the work of a job on its machine, and the files with its results."""

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
    """Folder of result files for one split and one state of the weights.

    Each file is JSON with a checksum and is named after the hash of its genome.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from nas.executor.job import ResultFiles
        >>> from nas.types import Architecture, Evaluation
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files, architecture = ResultFiles(Path(folder), "validation", None), Architecture((0, 1), {})
        ...     files.write(architecture, Evaluation({"top1": 90.0}))
        ...     files.read(architecture, files.names()).metrics
        {'top1': 90.0}
    """

    def __init__(self, folder: Path, split: str, weights: str | None) -> None:
        """Set the folder of the results.

        Args:
            folder: Parent folder; each split and each state of the weights has a subfolder in it.
            split: Split of the evaluations: ``"validation"`` or ``"test"``.
            weights: Digest of the weights that were evaluated; ``None`` if the evaluator has no weights.
        """
        self._folder = folder / f"{split}-{(weights or 'none')[:16]}"
        self._facts = {"split": split, "weights": weights}

    def write(self, architecture: Architecture, evaluation: Evaluation) -> None:
        """Write a result with an atomic write."""
        content = self._facts | {"genome": list(architecture.genome), "metrics": dict(evaluation.metrics)}
        content |= {"error": evaluation.error}
        write_json(self._path(architecture), sealed(content))

    def names(self) -> set[str]:
        """Return the names of all existing result files."""
        return {path.name for path in self._folder.iterdir()} if self._folder.exists() else set()

    def read(self, architecture: Architecture, names: set[str]) -> Evaluation | None:
        """Return a result if its file is in ``names`` and valid; remove a damaged file with a warning.

        Args:
            architecture: Architecture of the result.
            names: File names, as :meth:`names` returned them.

        Returns:
            The evaluation; ``None`` if there is no valid file.
        """
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
        """Remove the results of architectures; call it once the results are stored elsewhere."""
        for architecture in architectures:
            self._path(architecture).unlink(missing_ok=True)

    def _path(self, architecture: Architecture) -> Path:
        name = hashlib.sha256(json.dumps(list(architecture.genome)).encode()).hexdigest()[:32]
        return self._folder / f"{name}.json"


LOOKS = 2  # consecutive checks without the job before it counts as gone: its files may arrive after its end


@final
class Outstanding:
    """State of a batch whose architectures are evaluated by jobs on other machines.

    Attributes:
        left: Indices of the architectures without a result.
        jobs: Indices of the architectures of each job, by job name.
    """

    def __init__(self, architectures: Sequence[Architecture], files: ResultFiles) -> None:
        """Start with no jobs and no results."""
        self.left = set(range(len(architectures)))
        self.jobs: dict[str, list[int]] = {}
        self._architectures = architectures
        self._files = files
        self._unseen: Counter[str] = Counter()
        self._attempts: Counter[int] = Counter()

    def found(self, failures: bool) -> Iterator[tuple[int, Evaluation]]:
        """Yield (index, evaluation) of results that have arrived, each once.

        Args:
            failures: Whether failed evaluations count as results. Otherwise their files are removed, as for failures
                left by an earlier process of the run.
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
        """Remove all result files of the batch.

        Until then, a job that SLURM requeues can see which architectures are already evaluated.
        """
        self._files.remove(self._architectures)

    def gone(self, expected: set[str]) -> list[str]:
        """Return the jobs that were not among the expected ones in the last ``LOOKS`` checks."""
        for name in self.jobs:
            self._unseen[name] = 0 if name in expected else self._unseen[name] + 1
        return [name for name in self.jobs if self._unseen[name] >= LOOKS]

    def bury(self, name: str, retries: int) -> tuple[list[int], list[list[int]]]:
        """Remove a job that ended without all of its results.

        The job counts as a failed attempt of its architectures only if it finished none of them. Each of them is then
        retried in a job of its own.

        Args:
            name: Name of the job.
            retries: Number of failed attempts an architecture may have before it fails.

        Returns:
            Indices of the architectures that have failed, and the indices for each new job.
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
    """Return the members of groups in order, in chunks of limited size, so that groups mostly stay together.

    Args:
        groups: Groups of indices.
        most: Maximum size of a chunk.

    Example:
        >>> from nas.executor.job import chunks
        >>> chunks([[0, 3], [1, 2, 4]], 2)
        [[0, 3], [1, 2], [4]]
    """
    members = [index for group in groups for index in group]
    return [members[at : at + most] for at in range(0, len(members), most)]


@dataclass(frozen=True)
class EvaluationJob:
    """Job that evaluates architectures in worker processes of its own and writes the results to files.

    It uses workers like ``executor=process`` does. Architectures that already have a result file are skipped, so a job
    that SLURM requeues resumes its work.

    Attributes:
        replica: Function that builds the evaluator.
        groups: Groups of architectures; those of a group are evaluated together.
        split: Split to evaluate on: ``"validation"`` or ``"test"``.
        digest: Digest of the weights; ``None`` keeps the replica's weights.
        weights: File with the weights; ``None`` keeps the replica's weights.
        results: Folder of the results.
        gpu: Whether to use the GPUs that the job sees.
        workers_per_gpu: Number of workers on each GPU.
        cpus: Number of CPU cores of the job; without GPUs they are divided among workers.
        threads: Number of threads of each worker.
        limits: Retries and timeouts of workers.
        run: Process ID on the same machine with which the job ends; ``None`` if the run is on another machine.
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
        """All architectures of the job."""
        return [architecture for group in self.groups for architecture in group]

    def __call__(self) -> None:
        """Evaluate the architectures that have no result yet."""
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
    """Ignore SLURM's warning signals of preemption and time limits.

    Finished results are already on disk, so the job can work until it is killed. After preemption SLURM decides whether
    the job runs again; otherwise the run decides.
    """
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT):
        signal.signal(number, signal.SIG_IGN)
