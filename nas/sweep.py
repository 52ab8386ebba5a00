"""Many runs that one command line started: which they are, and what each of them is doing."""

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
"""Of runs that say nothing about their box: they are older than this version."""


@dataclass(frozen=True)
class PlannedRun:
    """A run that may be started.

    Attributes:
        label: Label that tells the run from the others, for example ``"seed=3"``.
        folder: Its run folder, absolute.
        command: Starts it in a process of its own, and goes on with it.
        cwd: Working folder of that process, absolute.
    """

    label: str
    folder: Path
    command: tuple[str, ...]
    cwd: Path


@dataclass(frozen=True)
class RunRow:
    """State of one run of a sweep.

    Attributes:
        label, folder: As in :class:`PlannedRun`.
        job: The SLURM job that was submitted for it last; ``None`` without one.
        queued: Whether SLURM has not done with that job.
        state: ``new``, ``queued``, ``running``, ``finished``, ``failed``, ``interrupted`` (asked to stop, or lost its
            place in a queue) or ``killed``.
        facts: Content of its status file.
    """

    label: str
    folder: Path
    job: str | None
    queued: bool
    state: str
    facts: Mapping[str, Any]

    @property
    def error(self) -> str:
        """The last error, ``""`` without one."""
        return str(self.facts.get("error") or "")

    @cached_property
    def seconds_left(self) -> float | None:
        """Estimate from the mean of recent steps; ``None`` where nothing is known yet, or nothing is left."""
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
        """Return the row as :func:`table` shows it."""
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
    """The folder of a sweep: ``sweep.json`` names its runs, which lie in folders of their own."""

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is read or written."""
        self.path = path

    def check(self, runs: Sequence[PlannedRun]) -> None:
        """Raise UserError if the folder holds a sweep of other runs, or something that is no sweep."""
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
        """Record the runs; what is known about their jobs stays.

        Args:
            launcher: Name of the launcher.
            runs: All of them.
            command: The command line that means these runs, see :meth:`command`.
        """
        jobs = {self._folder(run): run.get("job") for run in self._runs()} if self._record.exists() else {}
        listed = [{"label": run.label, "folder": self._name(run.folder), "job": jobs.get(run.folder)} for run in runs]
        write_json(self._record, {"launcher": launcher, "command": dict(command), "runs": listed}, indent=2)

    def command(self) -> Mapping[str, Any]:
        """Return ``config_path``, ``config_dirs``, ``config_name`` and ``overrides`` of the command line of the sweep.

        Raises:
            UserError: If there is no sweep in the folder, or an older version wrote it.
        """
        self._runs()
        command = read_json(self._record).get("command")
        if not isinstance(command, dict):
            raise UserError(f"{self._record} does not say the command line of the sweep: give that, or its file")
        earlier = command.pop("config_dir", None)  # versions before 0.2 had one folder
        return {"config_dirs": [] if earlier is None else [earlier], **command}

    def add_jobs(self, jobs: Mapping[Path, str]) -> None:
        """Record SLURM's jobs by run folder."""
        record = read_json(self._record)
        for run in record["runs"]:
            run["job"] = jobs.get(self._folder(run), run["job"])
        write_json(self._record, record, indent=2)

    def rows(self) -> list[RunRow]:
        """Return what every run is doing, in the order of the command line.

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
        """Return a run's folder as seen from the sweep's, so that both may be moved together."""
        return os.path.relpath(folder, self.path.absolute())

    def _folder(self, run: Mapping[str, Any]) -> Path:
        return Path(os.path.normpath(self.path.absolute() / run["folder"]))


def find_sweep(name: str, sweeps: Path) -> SweepFolder:
    """Return the folder of a sweep that a command line names.

    Args:
        name: Name of the folder, with or without its final digits; or its path, or the settings file that the sweep was
            started with.
        sweeps: Folder of the folders of sweeps.

    Raises:
        UserError: If there is none, or there are several.
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
"""Columns that a narrow terminal does without, in this order."""


def _aligned(columns: Mapping[str, Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in columns.values()]
    rows = zip(*columns.values(), strict=True)
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def table(rows: Sequence[RunRow], width: int | None = None) -> str:
    """Return the runs as text: one line each, and how many are in which state.

    Args:
        rows: Rows of the runs.
        width: Columns of the terminal. Where lines would be longer, errors stand below them, and then places and times
            are left out. ``None`` for lines of any length.
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
    """Return what the hypervolumes of a table are shares of: one line for each box, with its runs where there are more.

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
