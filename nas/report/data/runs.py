"""Reading of run folders. Nothing is written to them."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path
from typing import Any, Literal

import yaml

from nas.errors import ArchiveError, UserError
from nas.files import expanded, read_json
from nas.run.folder import result_settings
from nas.run.record import Record, read_record
from nas.run.status import observed

State = Literal["finished", "failed", "unfinished"]

Tested = Mapping[tuple[int, ...], Mapping[str, float]]
"""Metrics by genome."""


@dataclass(frozen=True)
class Failure:
    """Failed evaluation.

    Attributes:
        architecture: Name of the traceback file without its ending, for example ``"it_3_net_1"``.
        reason: Last line of the traceback.
        file: Path of the traceback file.
    """

    architecture: str
    reason: str
    file: Path


@dataclass(frozen=True)
class Run:
    """Content of a run folder.

    Attributes:
        name: End of the folder's path that distinguishes it from other runs.
        folder: Absolute path of the run folder.
        state: State of the run; ``"unfinished"`` if it is running or was killed.
        error: Error of a failed run in one line; ``None`` without one.
        settings: Resolved settings.
        identity: Fingerprints of data set, weights, supernet and search space, by name.
        record: All evaluations; ``None`` without a successful one.
        seconds: Seconds of each step by activity.
        failures: Failed evaluations, sorted by name.
        test, final: Metrics of the front on the test split, and with the final weights, by genome.
        choices: Choice of the command line for each group of settings; empty if unknown.
    """

    name: str
    folder: Path
    state: State
    error: str | None
    settings: Mapping[str, Any]
    identity: Mapping[str, str]
    record: Record | None
    seconds: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    failures: Sequence[Failure] = ()
    test: Tested = field(default_factory=dict)
    final: Tested = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """Seed of the search."""
        return int(self.settings.get("seed", 0))

    def pool_folders(self) -> list[Path]:
        """Return the folders of the runs in the pool of a search for cascades; empty if the settings name none.

        Relative paths refer to the folder in which the search was started, which is not recorded. It is taken to be
        the first folder that contains the first path: the working folder, or a parent folder of the run.
        """
        pool = self.settings.get("pool")
        named = pool.get("runs") if isinstance(pool, dict) else None
        paths = [_place(str(path)) for path in named or ()]
        if not paths or paths[0].is_absolute():
            return paths
        starts = [Path(), *self.folder.parents]
        start = next((start for start in starts if (start / paths[0]).is_dir()), Path())
        return [start / path for path in paths]

    def pool_settings(self) -> Mapping[str, Any]:
        """Return the settings of the first run in the pool; empty without one."""
        for folder in self.pool_folders()[:1]:
            try:
                return _settings(folder / "config.yaml")
            except ArchiveError:
                break
        return {}


def find_runs(patterns: Sequence[str]) -> list[Path]:
    """Return the run folders that match the patterns, sorted and without duplicates.

    Args:
        patterns: Run folders, folders that contain run folders at any depth, or globs of either.

    Raises:
        UserError: If there is no pattern, or a pattern matches no run folder.
    """
    if not patterns:
        raise UserError("runs is empty; list run folders, or folders that hold some, for example runs=[outputs]")
    found = dict[Path, None]()
    for pattern in patterns:
        path = expanded(pattern, "runs")
        start = Path(path.anchor or ".")
        places = sorted(start.glob(str(path.relative_to(path.anchor)))) if has_magic(pattern) else [path]
        runs = [run for place in places for run in _runs_below(place.absolute())]
        if not runs:
            exists = bool(places) and os.path.lexists(places[0])
            raise UserError(f"runs: '{pattern}' " + ("is no run folder and holds none" if exists else "does not exist"))
        found |= dict.fromkeys(runs)
    return sorted(found)


def _runs_below(place: Path) -> Iterator[Path]:
    """Yield the run folders of searches at ``place`` and below, without folders inside run folders."""
    for folder, below, files in os.walk(place):
        if "archive.jsonl" in files or {"config.yaml", "run.json"} <= set(files):
            below.clear()
            if "summary.csv" not in files:  # a fine-tuning has no front
                yield Path(folder).resolve()
        below[:] = sorted(name for name in below if not name.startswith("."))


def read_run(name: str, folder: Path) -> Run:
    """Read a run folder.

    Args:
        name: Name of the run in the report.
        folder: Run folder.

    Raises:
        ArchiveError: If the settings are missing, or the settings or the archive are damaged.
    """
    settings = _settings(folder / "config.yaml")
    status, about = _facts(folder / "status.json"), _facts(folder / "run.json")
    archive = folder / "archive.jsonl"
    try:
        record = read_record(archive) if archive.exists() else None
    except OSError as error:
        raise ArchiveError(f"{archive} cannot be read: {error.strerror}") from error
    tested = _front(folder / "front.json")
    states: dict[str | None, State] = {"finished": "finished", "failed": "failed"}
    return Run(
        name=name,
        folder=folder,
        state=states.get(observed(folder).get("state"), "unfinished"),
        error=status.get("error"),
        settings=settings,
        identity={str(part): str(value) for part, value in about.get("fingerprints", {}).items()},
        record=record if record is not None and record.ok.any() else None,
        seconds=_seconds(folder / "times.jsonl"),
        failures=list(_failures(folder / "failed")),
        test=tested["test"],
        final=tested["final"],
        choices=_choices(folder / ".hydra" / "hydra.yaml"),
    )


def _place(path: str) -> Path:
    """Return a path from a run's settings with ``~`` expanded; unchanged if that is not possible here."""
    try:
        return expanded(path, "pool.runs")
    except UserError:
        return Path(path)


LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _settings(path: Path) -> Mapping[str, Any]:
    try:
        settings = yaml.load(path.read_bytes(), Loader=LOADER)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ArchiveError(f"{path} is absent or damaged") from error
    if not isinstance(settings, dict) or not isinstance(settings.get("seed", 0), int):
        raise ArchiveError(f"{path} holds no settings of a run")
    return settings


def _choices(path: Path) -> Mapping[str, str]:
    """Return the command line's choices from Hydra's file; empty if the file is missing or has another format."""
    try:
        found = yaml.load(path.read_bytes(), Loader=LOADER)["hydra"]["runtime"]["choices"]
        return {str(group): str(choice) for group, choice in found.items() if choice is not None}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return {}


def _facts(path: Path) -> Mapping[str, Any]:
    """Return the content of a JSON file of facts about a run; empty if it is missing or damaged."""
    try:
        facts = read_json(path)
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _front(path: Path) -> dict[str, Tested]:
    """Return the front's metrics on the test split and with the final weights. Only finished runs have them."""
    found: dict[str, dict[tuple[int, ...], Mapping[str, float]]] = {"test": {}, "final": {}}
    for member in _facts(path).get("front", []):
        for name, metrics in found.items():
            if name in member:
                metrics[tuple(member["genome"])] = member[name]
    return {**found}


def _seconds(path: Path) -> dict[int, Mapping[str, float]]:
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return {int(line["step"]): {str(k): float(v) for k, v in line["seconds"].items()} for line in lines}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _failures(folder: Path) -> Iterator[Failure]:
    for path in sorted(folder.glob("*.traceback")):
        lines = path.read_text(errors="replace").strip().splitlines()
        yield Failure(path.name.removesuffix(".traceback"), lines[-1] if lines else "unknown error", path)


ABSENT = "absent"

SEED = re.compile(r"(?<=[_/-])\d+/*$")
"""Seed at the end of a run folder's path. The 12 in ``ofa_w12`` does not match."""


def decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that determine a run's group: all that affect results, without seeds.

    The pool of a search for cascades names runs of one seed. A seed at the end of such a path is replaced with ``*``.
    """
    found = result_settings(settings)
    pool = found.get("pool")
    if isinstance(pool, dict) and isinstance(pool.get("runs"), list):
        found["pool"] = pool | {"runs": [SEED.sub("*", str(path)) for path in pool["runs"]]}
    return found


def supernets_of(paths: Sequence[str]) -> list[str]:
    """Return a name for each run of a pool: the last part of its path, or ``<name>`` for ``<name>/seed_*``.

    Example:
        >>> supernets_of(["outputs/alphanet/seed_*", "outputs/ofa_w12/*"])
        ['alphanet', 'ofa_w12']
    """
    return [next((part for part in reversed(path.split("/")) if part not in ("", "*", "seed_*")), path)
            for path in paths]  # fmt: skip


def flat_settings(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that affect results as texts, by their names on the command line."""
    flat: dict[str, str] = {}
    _flatten("", decisive(settings), flat)
    return {key: value for key, value in flat.items() if not key.endswith("_partial_") and not key.startswith("task.")}


def differing(settings: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the settings whose values are not all equal: by name, one value for each of ``settings``.

    Example:
        >>> differing([{"a": "1", "b": "2"}, {"a": "1", "b": "3"}])
        {'b': ['2', '3']}
    """
    names = dict.fromkeys(name for flat in settings for name in flat)
    values = {name: [flat.get(name, ABSENT) for flat in settings] for name in names}
    return {name: row for name, row in values.items() if len(set(row)) > 1}


def _flatten(name: str, node: Any, flat: dict[str, str]) -> None:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            _flatten(f"{name}.{key}" if name else str(key), value, flat)
    else:
        flat[name] = node if isinstance(node, str) else json.dumps(node, default=str)
