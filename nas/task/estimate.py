"""``task=estimate``: forecast of a sweep's hours and disk space before any run is submitted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

from nas.errors import NasError, RunError, UserError
from nas.experiment import Experiment, torch_device
from nas.files import expanded
from nas.pool.timm_models import model_names
from nas.run.finished import FinishedRun
from nas.run.folder import RunFolder
from nas.task.base import Task
from nas.task.forecast import Forecast, forecast
from nas.task.made_up import MadeUpPool
from nas.task.progress import shown
from nas.types import PositiveInt

HOUR = 3600.0


@dataclass(frozen=True)
class Kind:
    """Group of runs of a sweep that differ only in their seed.

    Attributes:
        name: Name of the kind.
        runs: Number of runs.
        done: Number of finished runs.
        each: Forecast of one run; ``None`` if all are finished.
        notes: Assumptions of the forecast, as sentences.
        pools: Bytes of the stored network outputs that cascades are made of, by pool. Runs of other kinds may share
            a pool.
    """

    name: str
    runs: int
    done: int
    each: Forecast | None
    notes: tuple[str, ...]
    pools: Mapping[str, int]

    @property
    def missing(self) -> int:
        """Number of unfinished runs."""
        return self.runs - self.done

    @property
    def evaluations(self) -> int:
        """Number of evaluations of all unfinished runs."""
        return self.missing * (self.each.evaluations if self.each else 0)

    @property
    def disk(self) -> int:
        """Bytes of all unfinished runs, including their pools."""
        return self.missing * (sum(self.each.disk.values()) if self.each else 0) + sum(self.pools.values())

    @property
    def hours(self) -> float:
        """Device hours of all unfinished runs, summed over devices."""
        return self.missing * (self.each.total_seconds * self.each.processes / HOUR if self.each else 0.0)


@final
class EstimateTask(Task):
    """Task that measures one run of each kind for a few seconds and forecasts the whole sweep. It starts no run.

    Hours are device hours: hours of GPUs, or of the CPU for runs with ``device=cpu``. The first training of a supernet
    is shared by all runs and counts once.

    Example:
        >>> from nas.cli.compose import experiment_of
        >>> experiment = experiment_of(["task=status", "sweep=demo"])
        >>> EstimateTask(experiment=experiment, planned={"status": [experiment]}, launcher={}).check()
        Traceback (most recent call last):
        nas.errors.UserError: status is no search but task=status, which cannot be estimated
    """

    needs_parts = False

    def __init__(
        self,
        *,
        experiment: Experiment,
        planned: Mapping[str, Sequence[Experiment]],
        launcher: Mapping[str, Any],
        sweep: str | None = None,
        json: bool = False,
        networks: PositiveInt = 40,
        images: PositiveInt = 10000,
        classes: PositiveInt = 100,
    ) -> None:
        """Set the runs and the assumptions.

        Args:
            experiment: Experiment of the command line.
            planned: Experiments of the sweep's runs, by kind.
            launcher: Settings of the launcher that would start the runs.
            sweep: Name of the sweep; ``None`` for the runs of this command line.
            json: Whether to return JSON instead of a table.
            networks: Assumed number of networks of each pool run that does not exist yet.
            images: Assumed number of images of each split, validation and test, of a pool that does not exist yet.
            classes: Assumed number of classes of a pool that does not exist yet.
        """
        self._planned = planned
        self._launcher = launcher
        self._sweep = sweep
        self._json = json
        self._assumed = (networks, images, classes)

    def check(self) -> None:
        """Check that all runs are searches and that their devices exist.

        Raises:
            UserError: If a run has another task, or its device does not exist.
        """
        for name, setups in self._planned.items():
            if setups[0].choices["task"] != "search":
                raise UserError(f"{name} is no search but task={setups[0].choices['task']}, which cannot be estimated")
            torch_device(setups[0].settings.device)

    def run(self) -> str:
        """Measure each kind and return the forecast as a table or as JSON."""
        kinds = []
        with shown() as told:
            for i, (name, setups) in enumerate(self._planned.items()):
                told("measuring", i, len(self._planned))
                kinds.append(self._kind(name, setups))
        warnings = [warning for kind in kinds for warning in self._too_long(kind)]
        if self._json:
            return json.dumps(_record(self._sweep, kinds, warnings), indent=2)
        return "\n".join([*_table(kinds), *(f"note: {note}" for note in _notes(kinds)), *warnings])

    def _kind(self, name: str, setups: Sequence[Experiment]) -> Kind:
        missing = [experiment for experiment in setups if not RunFolder(experiment.paths.run).is_finished()]
        if not missing:
            return Kind(name, len(setups), len(setups), None, (), {})
        pool, notes = self._pool(missing[0])
        try:
            each = forecast(missing[0], pool)
        except NasError:
            raise
        except (RuntimeError, MemoryError, FloatingPointError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise RunError(f"{name} cannot be measured: {reason}") from error
        size = 0 if pool is None else pool.stored_bytes * (1 + (missing[0].choices["pool"] == "timm"))
        pools = {json.dumps(experiment.resolved["pool"]): size for experiment in missing if size}
        return Kind(name, len(setups), len(setups) - len(missing), each, notes, pools)

    def _pool(self, experiment: Experiment) -> tuple[MadeUpPool | None, tuple[str, ...]]:
        """Return a stand-in for the run's pool, and the assumptions about it; ``None`` for a run without a pool."""
        choice, settings = experiment.choices.get("pool", "none"), experiment.resolved["pool"]
        networks, images, classes = self._assumed
        if choice == "none":
            return None, ()
        if choice == "timm":
            return _timm(experiment)
        if choice != "runs":
            pool = MadeUpPool(networks=networks * len(settings["folders"]), images=images, classes=classes)
            return pool, (f"pool={choice} is taken for {len(pool.names)} networks, {images} images, {classes} classes",)
        device = experiment.device
        found, missing = [], 0
        for run in settings["runs"]:
            folder = expanded(run, "pool.runs")
            if RunFolder(folder).is_finished():
                places: dict[str, Any] = {
                    "device": device,
                    "cache": experiment.paths.cache,
                    "allowed": experiment.allowed,
                }
                found.append(FinishedRun(folder, key="pool.runs", **places))
            else:
                missing += 1
        if found:
            images, classes = len(found[0].dataset.split("validation")), found[0].dataset.n_classes
        total = sum(len(run.members) for run in found) + missing * networks
        each = f"{networks} networks each" if found else f"{networks} networks, {images} images, {classes} classes each"
        note = (f"{missing} of {len(settings['runs'])} runs of the pool do not exist yet: taken for {each}",)
        return MadeUpPool(networks=total, images=images, classes=classes), note if missing else ()

    def _too_long(self, kind: Kind) -> list[str]:
        """Return a warning if one run, including the first training, takes longer than a job's time limit."""
        limit = self._launcher.get("timeout_min")
        if limit is None or kind.each is None:
            return []
        seconds = kind.each.total_seconds + sum(kind.each.first.values())
        if seconds <= 60 * limit:
            return []
        jobs, most = -(-seconds // (60 * limit)), self._launcher["max_num_timeout"] + 1
        end = "goes on in each" if jobs <= most else f"ends after {most}, unfinished (hydra.launcher.max_num_timeout)"
        return [
            f"warning: one run of {kind.name} takes about {seconds / HOUR:.3g} h, a job at most {limit / 60:.3g} h "
            f"(hydra.launcher.timeout_min={limit}): it needs {jobs:.0f} jobs and {end}"
        ]


def _timm(experiment: Experiment) -> tuple[MadeUpPool, tuple[str, ...]]:
    settings = experiment.resolved["pool"]
    names = model_names(settings["models"])
    dataset = experiment.dataset
    pool = MadeUpPool(
        networks=len(names) * len(settings["resolutions"] or [None]),
        images=len(dataset.split("validation")),
        classes=dataset.n_classes,
    )
    return pool, (f"running the pool's {len(pool.names)} models, once for all runs, is not in the hours",)


def _first(kinds: Sequence[Kind]) -> tuple[dict[str, float], dict[str, int]]:
    """Return seconds and bytes of the shared results that the cache lacks, by name; each counts once."""
    seconds: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for kind in kinds:
        if kind.each is not None:
            seconds, sizes = {**kind.each.first, **seconds}, sizes | {**kind.each.first_bytes}
    return seconds, sizes


def _notes(kinds: Sequence[Kind]) -> list[str]:
    return [f"{kind.name}: {note}" for kind in kinds for note in kind.notes]


def _table(kinds: Sequence[Kind]) -> list[str]:
    devices = {kind.each.device: kind.each.hardware for kind in kinds if kind.each is not None}
    unit = "device hours" if any(device != "cpu" for device in devices) else "CPU hours"
    seconds, sizes = _first(kinds)
    rows = [["run", "runs", "done", "evaluations", "disk", "hours a run", unit]]
    for kind in kinds:
        each = f"{kind.each.total_seconds / HOUR:.3g}" if kind.each else ""
        counts = [str(kind.runs), str(kind.done), str(kind.evaluations)]
        rows.append([kind.name, *counts, _bytes(kind.disk), each, f"{kind.hours:.3g}"])
    if seconds:
        name = f"first training of {len(seconds)} supernet{'s' if len(seconds) > 1 else ''}"
        rows.append([name, "", "", "", _bytes(sum(sizes.values())), "", f"{sum(seconds.values()) / HOUR:.3g}"])
    total = _total(kinds)
    counts = [str(total[key]) for key in ("runs", "done", "evaluations")]
    rows.append(["total", *counts, _bytes(total["disk"]), "", f"{total['hours']:.3g}"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    return [*lines, *(f"measured on {device}, {name}" for device, name in devices.items())]


def _total(kinds: Sequence[Kind]) -> dict[str, Any]:
    seconds, sizes = _first(kinds)
    names = ("runs", "done", "evaluations", "disk", "hours")
    total = {name: sum(getattr(kind, name) for kind in kinds) for name in names}
    pools = {pool: size for kind in kinds for pool, size in kind.pools.items()}
    total["disk"] += sum(sizes.values()) + sum(pools.values()) - sum(sum(kind.pools.values()) for kind in kinds)
    total["hours"] += sum(seconds.values()) / HOUR
    return total


def _record(sweep: str | None, kinds: Sequence[Kind], warnings: Sequence[str]) -> dict[str, Any]:
    seconds, sizes = _first(kinds)
    each = [
        {"name": kind.name, "runs": kind.runs, "done": kind.done, "evaluations": kind.evaluations, "disk": kind.disk}
        | {"hours": kind.hours, "one_run": kind.each and asdict(kind.each), "notes": list(kind.notes)}
        for kind in kinds
    ]
    first = {name: {"hours": seconds[name] / HOUR, "disk": sizes[name]} for name in seconds}
    return {"sweep": sweep, "kinds": each, "first": first, "total": _total(kinds), "warnings": list(warnings)}


def _bytes(size: float) -> str:
    """Return a size as text with a unit, for example ``12 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
