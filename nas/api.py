"""Python interface: searches from words and objects, and runs as tables and networks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, final

import numpy as np

from nas.cli.compose import check_limit, experiment_of
from nas.errors import UserError, unknown
from nas.experiment import REPLACEABLE, Experiment, attributes_of
from nas.files import expanded
from nas.objective.base import Objective
from nas.parts import Part, literal
from nas.run.archive import Archive, Entry
from nas.run.folder import RunFolder
from nas.run.results import StepSummary
from nas.run.status import observed
from nas.settings import Settings
from nas.task.search import SearchTask
from nas.threads import computing, library_threads
from nas.tracker.bar import BarTracker
from nas.tracker.base import Tracker
from nas.tracker.callback import CallbackTracker
from nas.tracker.together import Together

if TYPE_CHECKING:  # pandas takes half a second
    import pandas as pd
    from torch import nn

_PLAIN = tuple(field.name for field in fields(Settings))


@final
class Run:
    """A search on disk, finished or not; every property reads what the folder holds now.

    Attributes:
        folder: Run folder.

    Example:
        >>> import tempfile
        >>> Run(tempfile.mkdtemp()).state
        'new'
    """

    def __init__(
        self, folder: str | Path, *, cache: Path | None = None, parts: Mapping[str, Any] | None = None
    ) -> None:
        """Name the folder; nothing is read yet.

        Args:
            folder: Run folder.
            cache: Folder of downloaded files and decoded images; None for the command line's default.
            parts: Objects that the run was made with in place of settings, by attribute of an experiment.
        """
        self.folder = Path(folder)
        self._cache = cache
        self._parts = {} if parts is None else dict(parts)

    def __repr__(self) -> str:
        """Return folder, state and evaluations."""
        return f"Run('{self.folder}', {self.state}, {len(self._entries())} architectures)"

    @property
    def state(self) -> str:
        """State: ``"new"``, ``"running"``, ``"finished"``, ``"failed"``, ``"interrupted"`` or ``"killed"``."""
        return str(observed(self.folder).get("state", "new"))

    @property
    def settings(self) -> dict[str, Any]:
        """All settings of the run, resolved.

        UserError if the folder holds no run.
        """
        try:
            return RunFolder(self.folder).settings()
        except (OSError, ValueError) as error:
            raise UserError(f"'{self.folder}' holds no run ({error})") from error

    @property
    def archive(self) -> "pd.DataFrame":
        """Table of all evaluations, one row an architecture (its newest evaluation), in the order of evaluation.

        Columns: ``step``, the objectives by name (NaN where the evaluation failed), ``predicted`` (the surrogate's
        error, NaN without one), further metrics by name, and one column a gene.
        """
        import pandas as pd

        archive = self._archive()
        if archive is None:
            return pd.DataFrame()
        names = [measure.name for measure in archive.measures]
        rows = []
        for entry in archive.entries():
            values = entry.objectives or (np.nan,) * len(names)
            genes = dict(zip(archive.gene_names, entry.architecture.genome, strict=True))
            metrics = {name: value for name, value in entry.metrics.items() if name not in names}
            row = {"step": entry.step, **dict(zip(names, values, strict=True))}
            rows.append(row | {"predicted": entry.predicted} | metrics | genes)
        table = pd.DataFrame(rows)
        return table.astype({"predicted": "float64"}) if rows else table

    @property
    def front(self) -> "pd.DataFrame":
        """Table of the Pareto front, ascending in error; the index is what ``model(...)`` and ``arch=`` take.

        Columns: the objectives by name, ``test_<metric>`` and, where weights adapted, ``final_<metric>`` of a finished
        run, ``step`` and ``architecture``.
        """
        import pandas as pd

        try:
            members = RunFolder(self.folder).front()["front"]
        except FileNotFoundError:
            return pd.DataFrame()
        except (OSError, ValueError) as error:
            raise UserError(f"the front in '{self.folder}' cannot be read ({error})") from error
        return pd.DataFrame([_member(member) for member in members])

    @property
    def metrics(self) -> "pd.DataFrame":
        """Table of the steps: hypervolume, best values, quality of the surrogate, seconds; see ``metrics.csv``."""
        import pandas as pd

        path = self.folder / "metrics.csv"
        return pd.read_csv(path) if path.is_file() else pd.DataFrame()

    @property
    def hypervolume(self) -> float:
        """Hypervolume of the front as a share of the run's box, 0 to 1; NaN before the first step."""
        try:
            return float(RunFolder(self.folder).front()["hypervolume"])
        except FileNotFoundError:
            return float("nan")

    def model(self, arch: str | int = "best", device: str = "cpu", allow: Iterable[str] = ()) -> "nn.Module":
        """Return a member of the front as a network in eval mode, with its weights.

        The network takes images, (n, 3, height, width), scaled to 0..1, and returns logits, (n, classes).

        Args:
            arch: Index of the member in :attr:`front`, or ``"best"`` for the most accurate one.
            device: Torch device of the network, for example ``"cuda"``.
            allow: Packages of your own whose classes the folder may name, for example ``["mylab"]``.

        Raises:
            UserError: If the run is not finished, or has no such member.
        """
        return _loaded(self.folder, arch, device, allow, cache=self._cache, parts=self._parts)

    def _archive(self) -> Archive | None:
        path = self.folder / "archive.jsonl"
        return Archive.reopen(path) if path.is_file() else None

    def _entries(self) -> list[Entry]:
        archive = self._archive()
        return [] if archive is None else archive.entries()


def _member(member: Mapping[str, Any]) -> dict[str, Any]:
    row = dict(member["objectives"])
    for split in ("final", "test"):
        row |= {f"{split}_{name}": value for name, value in member.get(split, {}).items()}
    return row | {"step": member["step"], "architecture": member["architecture"]}


class StepCallback(Protocol):
    """Function that is called after each step."""

    def __call__(self, run: Run, summary: StepSummary, /) -> None:
        """Take the run as it is on disk, and the step's numbers."""


def search(
    *words: str,
    folder: str | Path | None = None,
    objectives: Sequence[Objective | Part | str] | None = None,
    on_step: StepCallback | None = None,
    progress: bool = True,
    **parts: Any,
) -> Run:
    """Run a search, or resume the one in the folder, and return it.

    Words and keywords describe the run. A keyword is a setting without a group (``seed=3``), or a part by its group:
    the name of a choice (``supernet="tiny"``), a described part (``algorithm=nas.MSuNAS(n_doe=50)``), or an object of
    the base class (``supernet=MyNet()``). Equal words give the archive that the command line gives. Threads of one
    process may search at the same time; they take turns in computing. Nothing is written outside the folder and the
    cache, and nothing in the process is left changed.

    Args:
        words: Words as on the command line, for example ``"dataset=digits"`` or ``"algorithm.iterations=5"``.
        folder: Run folder; None for the command line's default, which follows from the settings.
        objectives: Objectives besides the error: names (``"flops"``), described parts or objects; None for FLOPs.
        on_step: Function that is called with the run and the step's summary after each step.
        progress: Whether a progress bar is shown, on standard error or in the notebook.
        parts: Settings and parts by name, see above.

    Returns:
        The finished run.

    Raises:
        UserError: If the input is wrong; nothing was started.
        NasError: If the run fails, for example because every evaluation of a step failed.

    Example:
        >>> import nas, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> words = ("supernet.depths=[1]", "dataset.resolutions=[8]", "training.epochs=1", "training.warmup_epochs=0")
        >>> run = nas.search(*words, folder=f"{folder}/run", algorithm=nas.RandomSearch(n_doe=5, iterations=0),
        ...                  progress=False, paths={"cache": folder})
        >>> run.state, len(run.archive)
        ('finished', 5)
    """
    for word in words:
        if word.startswith("task=") and word != "task=search":
            raise UserError(f"nas.search runs task=search, not {word}: use the command line")
    experiment = described(words, folder, objectives, parts)
    run = Run(experiment.folder, cache=experiment.cache, parts=experiment.given)
    trackers: list[Tracker] = [experiment.tracker]
    trackers += [BarTracker()] if progress else []
    trackers += [CallbackTracker(lambda summary: on_step(run, summary))] if on_step is not None else []
    told = experiment.changed(tracker=trackers[0] if len(trackers) == 1 else Together(trackers))
    with library_threads(experiment.settings.threads):
        task = SearchTask(experiment=told)
        with computing():
            task.check()
        task.run()
    return run


def load(path: str | Path, arch: str | int = "best", device: str = "cpu", allow: Iterable[str] = ()) -> "nn.Module":
    """Return a model as a network in eval mode.

    The network takes images, (n, 3, height, width), scaled to 0..1, which it resizes and normalizes itself, and returns
    logits, (n, classes). A cascade returns :class:`nas.cascade.module.Routed`: probabilities and predictions.

    Args:
        path: Folder that ``task=select`` or ``task=finetune`` wrote, or folder of a finished run.
        arch: Index of a member in a run's ``front.json``, or ``"best"`` for the most accurate one.
        device: Torch device of the network, for example ``"cuda"``.
        allow: Packages of your own whose classes the folder may name, for example ``["mylab"]``; their code is run.

    Raises:
        UserError: If there is no such model.

    Example:
        >>> load("nowhere")
        Traceback (most recent call last):
        nas.errors.UserError: run=nowhere is no folder that exists
    """
    return _loaded(path, arch, device, allow)


def _loaded(path: str | Path, arch: str | int, device: str, allow: Iterable[str], **places: Any) -> "nn.Module":
    from nas.model.find import loaded

    model: Any = loaded(path, arch, device, tuple(allow), **places)
    network: nn.Module = model.ready
    return network


def load_run(folder: str | Path, **parts: Any) -> Run:
    """Open a run from its folder.

    Args:
        folder: Run folder.
        parts: Objects by group that the run was made with, for example ``supernet=MyNet()``.

    Raises:
        UserError: If the folder holds no run, or an object is no part.

    Example:
        >>> load_run("nowhere")
        Traceback (most recent call last):
        nas.errors.UserError: 'nowhere' holds no run
    """
    path = expanded(folder, "folder")
    if not (path / "config.yaml").is_file():
        raise UserError(f"'{folder}' holds no run")
    return Run(path, parts=attributes_of(parts))


def load_runs(*patterns: str | Path) -> list[Run]:
    """Open all runs in folders, sorted by folder.

    Args:
        patterns: Folders, whose folders inside are searched too, or patterns such as ``"outputs/digits-*/seed_*"``.

    Raises:
        UserError: If a pattern finds no run.

    Example:
        >>> try:
        ...     load_runs("nowhere/**")
        ... except UserError as error:
        ...     print(error)
        'nowhere/**' finds no run
    """
    found: set[Path] = set()
    for pattern in patterns:
        whole = str(expanded(pattern, "pattern")).removesuffix("**")
        runs = {
            file.parent
            for folder in glob(whole or ".")  # noqa: PTH207 -- patterns may be absolute
            for file in Path(folder).rglob("archive.jsonl")
        }
        if not runs:
            raise UserError(f"'{pattern}' finds no run")
        found |= runs
    return [Run(folder) for folder in sorted(found)]


def described(
    words: Sequence[str],
    folder: str | Path | None,
    objectives: Sequence[Objective | Part | str] | None,
    parts: Mapping[str, Any],
) -> Experiment:
    """Return the experiment that words, settings, described parts and objects mean; see :func:`search`."""
    more, objects = _split({name: value for name, value in parts.items() if name != "constraints"})
    named, own = _objectives(objectives or ())
    limits = dict(parts.get("constraints") or {})
    own_limits = {name: limits.pop(name) for name in own if name in limits}
    for name, limit in own_limits.items():
        check_limit(name, limit)
    more += [*named, *_setting("constraints", limits)]
    if folder is not None:
        more.append(f"paths.run={literal(Path(folder).absolute())}")
    if (objects or own) and not any(word.startswith("paths.run=") for word in (*words, *more)):
        raise UserError("a run with objects of your own needs a run folder: give nas.search the keyword folder")
    if "dataset" in objects:
        more.append(f"dataset.resolutions={literal(list(objects['dataset'].resolutions))}")
    if not any(word.startswith("tracker=") for word in (*words, *more)) and "tracker" not in objects:
        more.insert(0, "tracker=csv")
    only = objectives is not None and not named
    return experiment_of([*words, *more]).with_objects(objects, own, own_limits, only=only)


def _split(parts: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Return the words that keywords mean, and the objects among them by group."""
    words: list[str] = []
    objects: dict[str, Any] = {}
    for name, value in parts.items():
        if name in _PLAIN or name == "paths":
            words += _setting(name, value)
        elif name not in REPLACEABLE:
            raise unknown("keyword", name, [*REPLACEABLE, *_PLAIN, "folder", "objectives", "on_step", "progress"])
        elif isinstance(value, str):
            words.append(f"{name}={value}")
        elif isinstance(value, Part):
            if value.group != name:
                raise UserError(f"{name}={value.choice} is a choice of group {value.group}: give {value.group}=...")
            words += value.words()
        else:
            objects[name] = value
    return words, objects


def _setting(name: str, value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [word for key, item in value.items() for word in _setting(f"{name}.{key}", item)]
    return [f"{'++' if name.startswith('constraints.') else ''}{name}={literal(value)}"]


def _objectives(objectives: Sequence[Objective | Part | str]) -> tuple[list[str], dict[str, Objective]]:
    """Return the words of objectives that have a name, and the objects by their measure's name."""
    chosen: list[str] = []
    settings: list[str] = []
    own: dict[str, Objective] = {}
    for objective in objectives:
        if isinstance(objective, str):
            chosen.append(objective)
        elif isinstance(objective, Part):
            chosen.append(objective.choice)
            settings += [
                f"sec_obj.{objective.choice}.{key}={literal(value)}" for key, value in objective.settings.items()
            ]
        elif isinstance(objective, Objective):
            own[objective.measure.name] = objective
        else:
            raise UserError(f"objectives holds {objective!r}: give names, nas.part('sec_obj', ...) or nas.Objective")
    return [*([f"sec_obj=[{','.join(chosen)}]"] if chosen else []), *settings], own
