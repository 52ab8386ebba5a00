"""Append-only archive of a run's evaluations, from which algorithms learn and runs resume."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from nas.errors import ArchiveError, UserError
from nas.files import write_bytes, writing
from nas.pareto import non_dominated
from nas.types import Architecture, Floats, Genomes, Measure

VERSION = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One evaluation.

    Attributes:
        step, index: The step that proposed it, and its place in that batch.
        architecture: Evaluated architecture.
        objectives: In the archive's order, all minimized; ``None`` if the evaluation failed.
        metrics: Everything that was measured, by name; empty if the evaluation failed.
        predicted: The surrogate's prediction of the first objective, if it was chosen by one.
        weights: Digest of the supernet's weights that it was evaluated with; ``None`` where there are none.
    """

    step: int
    index: int
    architecture: Architecture
    objectives: tuple[float, ...] | None
    metrics: Mapping[str, float]
    predicted: float | None = None
    weights: str | None = None


@dataclass(frozen=True)
class Commit:
    """Record that closes a block of entries.

    Attributes:
        step: Step of the entries.
        surrogate, winner: That chose them, see :class:`nas.types.Batch`; ``None`` without one.
        rmse_archive, rho_archive, tau_archive: Agreement of the surrogate's predictions with the evaluations of these
            entries and of all that it was fitted to; ``None`` without a surrogate, or where it is not defined.
        retry: Whether the entries are second attempts at failures.
        parts: Spearman's rank correlation of what else the surrogate predicted with what evaluations measured, by the
            metric's name, over the architectures that no earlier step evaluated; ``None`` where it is not defined.
    """

    step: int
    surrogate: str | None = None
    winner: str | None = None
    rmse_archive: float | None = None
    rho_archive: float | None = None
    tau_archive: float | None = None
    retry: bool = False
    parts: Mapping[str, float | None] = field(default_factory=dict)


@dataclass
class Archive:
    """Archive of all evaluations of a run, in memory and in a file.

    The file has one JSON object on each line: a header, then for each step its entries and a commit with the SHA-256 of
    everything before it. A step is appended in one write and counts only with its commit. Lines after the last commit,
    left by a killed process, are dropped. If an architecture was evaluated twice, the newer entry counts and both stay
    on disk. Use :meth:`open` to open an archive.

    Attributes:
        path: The file.
        measures: Names and units of the objectives.
        commits: One for each block, in order.
        history: Every entry, in order.
    """

    path: Path
    measures: tuple[Measure, ...]
    gene_names: tuple[str, ...]
    commits: list[Commit] = field(default_factory=list)
    history: list[Entry] = field(default_factory=list)
    _size: int = 0
    _digest: "hashlib._Hash" = field(default_factory=sha256)

    @staticmethod
    def open(path: Path, measures: Sequence[Measure], gene_names: Sequence[str]) -> "Archive":
        """Load the archive at ``path``, or create an empty one; the file is written with the first step.

        Raises:
            ArchiveError: If the file is damaged.
            UserError: If it belongs to another search space or other objectives.
        """
        archive = Archive(path, tuple(measures), tuple(gene_names))
        if path.exists():
            archive._read(path.read_bytes())
        return archive

    @staticmethod
    def resume(path: Path, measures: Sequence[Measure], gene_names: Sequence[str]) -> "Archive":
        """Load the archive at ``path`` to resume a run, or create an empty one.

        A damaged file is cut to the steps before the damage, with a warning; the original is kept as
        ``<name>.damaged``.

        Raises:
            UserError: If it belongs to another search space or other objectives.
            DiskError: If the disk is full or must not be written to.
        """
        archive = Archive(path, tuple(measures), tuple(gene_names))
        data = path.read_bytes() if path.exists() else b""
        try:
            archive._read(data)
        except ArchiveError as error:
            log.warning("%s; the run goes on after step %d, the last good one", error, archive.next_step - 1)
            write_bytes(path.with_name(f"{path.name}.damaged"), data)
            write_bytes(path, data[: archive._size])
        return archive

    @staticmethod
    def reopen(path: Path) -> "Archive":
        """Load the archive at ``path`` with the objectives and genes of its header.

        Raises:
            ArchiveError: If the file is damaged.
            OSError: If it cannot be read.
        """
        with path.open("rb") as file:
            first = file.readline()
        try:
            header = json.loads(first)
            measures, genes = [Measure(*pair) for pair in header["objectives"]], tuple(header["genes"])
        except (ValueError, TypeError, KeyError) as error:
            raise ArchiveError(f"{path}: line 1 is damaged") from error
        return Archive.open(path, measures, genes)

    def _header(self) -> bytes:
        objectives = [[measure.name, measure.unit] for measure in self.measures]
        return _line({"format": "nas-archive", "version": VERSION, "objectives": objectives, "genes": self.gene_names})

    def _read(self, data: bytes) -> None:
        digest, position, block = sha256(), 0, list[dict[str, Any]]()
        lines = data.split(b"\n")[:-1]  # what follows the last one is a write that was cut short
        for number, line in enumerate((line + b"\n" for line in lines), start=1):
            position += len(line)
            if number == 1 and line != self._header():
                self._refuse(lines)
            if number > 1:
                record = self._parse(line, number)
                if "commit" not in record:
                    block.append(record)
                elif record["sha256"] != commit_checksum(digest, record["commit"]):
                    raise ArchiveError(f"{self.path}: the lines up to {number} do not match their checksum")
                else:
                    self.commits.append(Commit(**record["commit"]))
                    self.history += [_entry(entry) for entry in block]
                    block = []
            digest.update(line)
            if number > 1 and not block:
                self._size, self._digest = position, digest.copy()

    def _refuse(self, lines: Sequence[bytes]) -> None:
        """Raise the error for an unexpected header: another archive if the first checksum fits, else damaged."""
        digest = sha256()
        for line in lines:
            try:
                record = json.loads(line)
                vouched = "commit" in record and record["sha256"] == commit_checksum(digest, record["commit"])
            except (ValueError, TypeError, KeyError):
                break
            if vouched or len(lines) == 1:
                raise UserError(f"{self.path} is not of this search space, these objectives and this version")
            digest.update(line + b"\n")
        raise ArchiveError(f"{self.path}: line 1 is damaged")

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(line)
            if ("commit" in record) == ("genome" in record) or ("commit" in record and "sha256" not in record):
                raise ValueError("neither an entry nor a commit")
        except (ValueError, TypeError) as error:
            raise ArchiveError(f"{self.path}: line {number} is damaged") from error
        return record

    def extend(self, commit: Commit, entries: Sequence[Entry]) -> None:
        """Append a block of entries and its commit to the file, entirely or not at all.

        Raises:
            DiskError: If the disk is full or must not be written to.
        """
        block = b"".join(map(written, entries))
        if not self.commits:
            block = self._header() + block
        digest = self._digest.copy()
        digest.update(block)
        end = _line({"commit": asdict(commit), "sha256": commit_checksum(digest, asdict(commit))})
        digest.update(end)
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with self.path.open("r+b" if self.path.exists() else "xb") as file:
                    file.truncate(self._size)
                    file.seek(self._size)
                    file.write(block + end)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):  # a part of a step does not count, and only takes room
                    os.truncate(self.path, self._size)
                raise
        self._size += len(block + end)
        self._digest = digest
        self.commits.append(commit)
        self.history += entries

    @property
    def next_step(self) -> int:
        """The first step that is not complete."""
        return max((commit.step for commit in self.commits), default=-1) + 1

    def commit_of(self, step: int) -> Commit:
        """Return the first commit of a complete step."""
        return next(commit for commit in self.commits if commit.step == step)

    def batch(self, step: int) -> list[Entry]:
        """Return the entries of a complete step in their order; a second attempt replaces a failure.

        The weights of a step follow from the architectures of its batch and of earlier batches.
        """
        newest = {entry.index: entry for entry in self.history if entry.step == step}
        return [newest[index] for index in sorted(newest)]

    def fresh(self, step: int) -> list[Entry]:
        """Return those of :meth:`batch` that no earlier step evaluated."""
        before = {entry.architecture.genome for entry in self.history if entry.step < step}
        return [entry for entry in self.batch(step) if entry.architecture.genome not in before]

    def n_evaluations(self, last_step: int | None = None) -> int:
        """Return the number of evaluations up to ``last_step``; second attempts at failures do not count."""
        return len({(e.step, e.index) for e in self.history if last_step is None or e.step <= last_step})

    def entries(self, last_step: int | None = None) -> list[Entry]:
        """Return the newest entry of each architecture, in the order of first evaluation.

        Args:
            last_step: Leave out what later steps evaluated; ``None`` for everything.
        """
        newest: dict[tuple[int, ...], Entry] = {}
        for entry in self.history:
            if last_step is None or entry.step <= last_step:
                newest[entry.architecture.genome] = entry
        return list(newest.values())

    def genomes(self) -> Genomes:
        """Return the canonical genomes of all evaluated architectures, failures included, shape (n, d)."""
        genomes = [entry.architecture.genome for entry in self.entries()]
        return np.array(genomes, dtype=np.int64).reshape(-1, len(self.gene_names))

    def arrays(self) -> tuple[Genomes, Floats]:
        """Return genomes, shape (n, d), and objectives, shape (n, m), of the evaluations that succeeded."""
        good = [entry for entry in self.entries() if entry.objectives is not None]
        genomes = np.array([entry.architecture.genome for entry in good], dtype=np.int64)
        objectives = np.array([entry.objectives for entry in good], dtype=np.float64)
        return genomes.reshape(-1, len(self.gene_names)), objectives.reshape(-1, len(self.measures))

    def front(self, last_step: int | None = None) -> list[Entry]:
        """Return the non-dominated entries up to ``last_step``, ascending in the first objective."""
        good = [entry for entry in self.entries(last_step) if entry.objectives is not None]
        objectives = np.array([entry.objectives for entry in good], dtype=np.float64)
        chosen = [good[i] for i in non_dominated(objectives)]
        return sorted(chosen, key=lambda entry: entry.objectives or ())

    def reference_point(self) -> Floats:
        """Return 1.01 times the worst value of each objective in the initial design, shape (m,).

        This is NSGANetV2's reference point.

        Raises:
            ArchiveError: If no evaluation of the initial design succeeded.
        """
        initial = [e.objectives for e in self.entries(last_step=0) if e.objectives is not None]
        if not initial:
            raise ArchiveError(f"{self.path}: no evaluation of the initial design succeeded")
        worst: Floats = np.array(initial, dtype=np.float64).max(axis=0)
        return 1.01 * worst


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def commit_checksum(before: "hashlib._Hash", commit: Mapping[str, Any]) -> str:
    """Return the checksum of a commit: the SHA-256 of everything before it and of its content."""
    digest = before.copy()
    digest.update(_line(commit))
    return digest.hexdigest()


def written(entry: Entry) -> bytes:
    """Return the line of an entry as it stands in the file."""
    return _line(_record(entry))


def _record(entry: Entry) -> dict[str, Any]:
    return {
        "step": entry.step,
        "index": entry.index,
        "genome": entry.architecture.genome,
        "config": entry.architecture.config,
        "objectives": entry.objectives,
        "metrics": entry.metrics,
        "predicted": entry.predicted,
        "weights": entry.weights,
    }


def _entry(record: Mapping[str, Any]) -> Entry:
    objectives = record["objectives"]
    architecture = Architecture(tuple(record["genome"]), record["config"])
    return Entry(
        step=record["step"],
        index=record["index"],
        architecture=architecture,
        objectives=None if objectives is None else tuple(objectives),
        metrics=record["metrics"],
        predicted=record["predicted"],
        weights=record["weights"],
    )
