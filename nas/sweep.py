"""Sweeps: the runs that one command line started, and their states."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nas import slurm
from nas.errors import UserError, unknown
from nas.files import expanded, read_json, write_json
from nas.run.folder import RunFolder
from nas.run.lease import holder
from nas.run.status import observed
from nas.tracker.console import RECENT, duration

DONE = ("finished", "failed")

OWN_BOX = "each run's own box, not comparable with others"
"""Box of runs of older versions, which do not record their hypervolume box."""


@dataclass(frozen=True)
class PlannedRun:
    """Run of a sweep that a launcher can start.

    Attributes:
        label: Label that distinguishes the run from the others, for example ``"seed=3"``.
        folder: Absolute path of the run folder.
        command: Command line that starts or resumes the run in a process of its own.
        cwd: Absolute path of that process's working folder.
    """

    label: str
    folder: Path
    command: tuple[str, ...]
    cwd: Path


@dataclass(frozen=True)
class RunRow:
    """State of one run of a sweep.

    Attributes:
        label, folder: Label and folder of the :class:`PlannedRun`.
        job: Id of the last SLURM job that was submitted for the run; ``None`` without one.
        queued: Whether that job is still in SLURM's queue, waiting or running.
        state: State of the run: ``new``, ``queued``, ``running``, ``finished``, ``failed``, ``interrupted`` (asked to
            stop, or no longer in a queue) or ``killed``.
        facts: Content of the run's status file.
    """

    label: str
    folder: Path
    job: str | None
    queued: bool
    state: str
    facts: Mapping[str, Any]

    @property
    def error(self) -> str:
        """Last error message; ``""`` without one."""
        return str(self.facts.get("error") or "")

    @cached_property
    def seconds_left(self) -> float | None:
        """Estimated seconds until the end, from the mean of recent steps; ``None`` if unknown or the run has ended."""
        step, steps = self.facts.get("step"), self.facts.get("steps")
        if self.state in DONE or not isinstance(step, int) or not isinstance(steps, int):
            return None
        try:
            lines = (self.folder / "times.jsonl").read_text().splitlines()
            recent = [sum(json.loads(line)["seconds"].values()) for line in lines[1:][-RECENT:]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return sum(recent) / len(recent) * (steps - 1 - step) if recent else None

    def cells(self) -> list[str]:
        """Return the row's cells for :func:`table`."""
        step, steps, hypervolume = (self.facts.get(key) for key in ("step", "steps", "hypervolume"))
        elapsed, left = self.facts.get("elapsed"), self.seconds_left
        job = self.facts.get("job") or (self.job if self.queued else None)
        place = f"{self.facts.get('host')}, " + (f"job {job}" if job else f"process {self.facts.get('pid')}")
        waiting = f"job {self.job}" if self.queued and self.job else ""
        return [
            self.label,
            self.state,
            "" if steps is None else f"{'-' if step is None else step}/{steps - 1}",
            "" if hypervolume is None else f"{hypervolume:.4f}",
            "" if elapsed is None else duration(elapsed),
            "" if left is None else f"about {duration(left)}",
            place if self.state in (*DONE, "running", "killed", "interrupted") and self.facts.get("host") else waiting,
            self.error,
        ]


class SweepFolder:
    """Folder of a sweep. Its file ``sweep.json`` lists the runs, whose run folders may be anywhere.

    Attributes:
        path: Path of the folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     folder = Path(place)
        ...     sweep = SweepFolder(folder / "sweep")
        ...     sweep.begin("local", [PlannedRun("seed=0", folder / "run", ("nas", "seed=0"), folder)], {})
        ...     [(row.label, row.state) for row in sweep.rows()]
        [('seed=0', 'new')]
    """

    def __init__(self, path: Path) -> None:
        """Set the path; nothing is read or written."""
        self.path = path

    def check(self, runs: Sequence[PlannedRun]) -> None:
        """Check that the folder is free or contains the sweep of these runs.

        Raises:
            UserError: If ``path`` is a file, or the folder contains a sweep of other runs.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path} is a file; hydra.sweep.dir must be a folder")
        if not self._record.exists():
            return
        known = {self._folder(run) for run in self._runs()}
        wanted = {run.folder for run in runs}
        if known != wanted:
            other = min(map(str, known ^ wanted))
            where = "there alone" if Path(other) in known else "here alone"
            raise UserError(
                f"the sweep folder {self.path} holds a sweep of other runs: {other} is {where}; use the same settings "
                f"to go on, or another folder (hydra.sweep.dir=FOLDER)"
            )

    def begin(self, launcher: str, runs: Sequence[PlannedRun], command: Mapping[str, Any]) -> None:
        """Write the list of runs; recorded job ids are kept.

        Args:
            launcher: Name of the launcher.
            runs: All runs of the sweep.
            command: Command line of the sweep in the form of :meth:`command`.
        """
        jobs = {self._folder(run): run.get("job") for run in self._runs()} if self._record.exists() else {}
        listed = [{"label": run.label, "folder": self._name(run.folder), "job": jobs.get(run.folder)} for run in runs]
        write_json(self._record, {"launcher": launcher, "command": dict(command), "runs": listed}, indent=2)

    def command(self) -> Mapping[str, Any]:
        """Return ``config_path``, ``config_dirs``, ``config_name`` and ``overrides`` of the sweep's command line.

        Raises:
            UserError: If there is no sweep in the folder, or its version did not record the command line.
        """
        self._runs()
        command = read_json(self._record).get("command")
        if not isinstance(command, dict):
            raise UserError(f"{self._record} does not say the command line of the sweep: give that, or its file")
        earlier = command.pop("config_dir", None)  # versions before 0.2 had one folder
        return {"config_dirs": [] if earlier is None else [earlier], **command}

    def add_jobs(self, jobs: Mapping[Path, str]) -> None:
        """Record SLURM job ids by run folder."""
        record = read_json(self._record)
        for run in record["runs"]:
            run["job"] = jobs.get(self._folder(run), run["job"])
        write_json(self._record, record, indent=2)

    def rows(self) -> list[RunRow]:
        """Return the state of every run, in the order of the command line.

        Raises:
            UserError: If there is no sweep in the folder, or its record is damaged.
        """
        runs = self._runs()
        jobs = {run["job"] for run in runs if run["job"]}
        queue = slurm.queue(jobs)
        launched = holder(self.path) is not None
        return [self._row(run, queue, launched) for run in runs]

    def _row(self, run: Mapping[str, Any], queue: Mapping[str, str] | None, launched: bool) -> RunRow:
        folder, job = self._folder(run), run["job"]
        facts = observed(folder)
        state = str(facts.get("state", "new"))
        queued = job is not None and (state not in DONE if queue is None else job in queue)
        if state == "finished" and not RunFolder(folder).is_finished():
            state, facts = "interrupted", facts | {"error": "its results are incomplete: the same command goes on"}
        if queued and state not in (*DONE, "running"):
            state, facts = "queued", facts | {"error": None}
        elif state == "queued" and not launched:
            state, facts = "interrupted", facts | {"error": "it is in no queue any more"}
        return RunRow(str(run["label"]), folder, job, queued, state, facts)

    @property
    def _record(self) -> Path:
        return self.path / "sweep.json"

    def _runs(self) -> list[dict[str, Any]]:
        try:
            runs = read_json(self._record)["runs"]
            return [{key: run[key] for key in ("label", "folder", "job")} for run in runs]
        except FileNotFoundError as error:
            raise UserError(f"{self.path} holds no sweep") from error
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self._record} is damaged; remove it and start the sweep again: its runs stay") from error

    def _name(self, folder: Path) -> str:
        """Return the path of a run folder relative to the sweep's folder, so that both can be moved together."""
        return os.path.relpath(folder, self.path.absolute())

    def _folder(self, run: Mapping[str, Any]) -> Path:
        return Path(os.path.normpath(self.path.absolute() / run["folder"]))


def find_sweep(name: str, sweeps: Path) -> SweepFolder:
    """Return the folder of the sweep with a given name.

    Args:
        name: Name of the folder with or without its final digits, its path, or the settings file that the sweep was
            started with.
        sweeps: Parent folder of the sweeps' folders.

    Raises:
        UserError: If no sweep matches, or several do.
    """
    names = sorted(path.parent.name for path in sweeps.glob("*/sweep.json"))
    folder = expanded(name, "sweep")
    if name not in names and folder.is_dir():
        return SweepFolder(folder)
    stem = folder.stem if folder.suffix == ".yaml" else name
    found = [name] if name in names else [each for each in names if each.rpartition("-")[0] == stem]
    if len(found) == 1:
        return SweepFolder(sweeps / found[0])
    if found:
        raise UserError(f"sweep={name} may be {' or '.join(found)}: name one of them")
    if not names:
        raise UserError(f"sweep={name} is no folder, and there is no sweep in {sweeps}")
    raise unknown("sweep", name, names)


SPARED = ("error", "where", "elapsed", "left")
"""Columns that are removed on a narrow terminal, in this order."""


def _aligned(columns: Mapping[str, Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in columns.values()]
    rows = zip(*columns.values(), strict=True)
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def table(rows: Sequence[RunRow], width: int | None = None) -> str:
    """Return a table of the runs as text: one line per run, and the number of runs in each state.

    Args:
        rows: States of the runs.
        width: Number of columns of the terminal; ``None`` for lines of any length. If lines are too long, errors go
            below their lines first. Then the columns of places and times are removed.

    Example:
        >>> print(table([RunRow("seed=0", Path("run"), None, False, "new", {})]))
        run     state
        seed=0  new
        1 runs: 1 new
    """
    header = ["run", "state", "step", "hypervolume", "elapsed", "left", "where", "error"]
    cells = [header, *(row.cells() for row in rows)]
    columns = {column[0]: column for column in zip(*cells, strict=True) if any(column[1:])}
    lines, errors = _aligned(columns), ["" for _ in cells]
    for name in SPARED:
        if width is not None and max(map(len, lines)) > width and name in columns:
            found = columns.pop(name)
            errors = ["", *found[1:]] if name == "error" else errors
            lines = _aligned(columns)
    lines = [text for line, error in zip(lines, errors, strict=True) for text in (line, f"    {error}") if text.strip()]
    states = [row.state for row in rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return "\n".join([*lines, *_box_lines(rows), f"{len(rows)} runs: {counts}"])


def _box_lines(rows: Sequence[RunRow]) -> list[str]:
    """Return one line for each hypervolume box of a table's runs; with several boxes, each line names its runs.

    Only hypervolumes in the same box can be compared.
    """
    boxes: dict[str, list[str]] = {}
    for row in rows:
        if row.facts.get("hypervolume") is not None:
            boxes.setdefault(str(row.facts.get("box") or OWN_BOX), []).append(row.label)
    shares = {box: box if box == OWN_BOX else f"the box {box}" for box in boxes}
    if len(boxes) == 1:
        return [f"hypervolume: share of {share}" for share in shares.values()]
    return [f"hypervolume of {_few(labels)}: share of {shares[box]}" for box, labels in boxes.items()]


def _few(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) <= 4 else f"{labels[0]} and {len(labels) - 1} more"
