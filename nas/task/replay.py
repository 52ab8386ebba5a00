"""``task=replay``: passes the steps of an earlier run to a tracker, for example to upload them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from nas.errors import ArchiveError, UserError, counted
from nas.experiment import Experiment
from nas.files import expanded
from nas.run.archive import Archive
from nas.run.box import recorded, stated
from nas.run.folder import RunFolder, revision
from nas.run.results import Metrics, Results
from nas.run.status import observed
from nas.task.base import Task
from nas.tracker.base import RunInfo, Tracker


@final
class ReplayTask(Task):
    """Task that reports an earlier run to the tracker that the command line names.

    Example:
        >>> from nas.cli.compose import experiment_of
        >>> task = experiment_of(["task=replay", "run=outputs/none", "tracker=csv"]).part("task")
        >>> task.check()
        Traceback (most recent call last):
        nas.errors.UserError: run=outputs/none is no folder that exists
    """

    def __init__(self, *, experiment: Experiment, run: Path) -> None:
        """Set the run.

        Args:
            experiment: Experiment of the command line; only ``tracker`` counts.
            run: Folder of a run, finished or not.
        """
        self._experiment = experiment
        self._run = expanded(run, "run")

    def check(self) -> None:
        """Read the run; write nothing.

        Raises:
            UserError: If the folder holds no run, a damaged run, or a run without a complete step.
        """
        described(self._run)

    def run(self) -> str:
        """Replay the run, unless another process is writing to its folder."""
        with RunFolder(self._run).lease():
            steps = replay(self._run, self._experiment.tracker)
        return f"Replayed {counted(steps, 'step')} of {self._run}"


def replay(folder: Path, tracker: Tracker) -> int:
    """Pass all complete steps of a run to a tracker, under the run's own id and names; return their number.

    Args:
        folder: Run folder that no process is writing to.
        tracker: Tracker that receives the start, the steps and the end, in the order of a run.

    Raises:
        UserError: If the folder holds no run, a damaged run, or a run without a complete step.
    """
    run, results, steps = described(folder)
    tracker.start(run, [])
    for step in range(steps):
        picture = folder / "front.png" if step == steps - 1 and (folder / "front.png").exists() else None
        tracker.step(results.summary(step), picture)
    if results.tested:
        tracker.outcome(results.outcome())
    state = observed(folder).get("state")
    tracker.finish(None if state == "finished" else f"the run is {state}")
    return steps


def described(folder: Path) -> tuple[RunInfo, Results, int]:
    """Return the facts about a run for trackers, its results, and the number of its complete steps.

    Raises:
        UserError: If the folder holds no run, a damaged run, or a run without a complete step.
    """
    if not (folder / "config.yaml").is_file():
        what = "no folder of a run" if folder.is_dir() else "no folder that exists"
        raise UserError(f"run={folder} is {what}")
    try:
        settings, known = RunFolder(folder).settings(), RunFolder(folder).identity()
        archive = Archive.reopen(folder / "archive.jsonl")
        box = recorded(known.get("box")) or stated(settings["reference_point"], settings["ideal_point"])
        run = _info(folder, settings, known, archive)
    except ArchiveError as error:
        raise UserError(str(error)) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"run: '{folder}' holds no run that can be read ({reason})") from error
    if not archive.commits:
        raise UserError(f"run: the run in '{folder}' has no complete step")
    results = Results(archive, folder, box, known.get("images"))
    results.measured(*_measured(folder))
    return run, results, archive.next_step


def _measured(folder: Path) -> tuple[Metrics, Metrics]:
    """Return the final front's metrics with the final weights and on the test split; empty for an unfinished run."""
    found: dict[str, dict[tuple[int, ...], Mapping[str, float]]] = {"final": {}, "test": {}}
    try:
        for member in RunFolder(folder).front()["front"]:
            for name, metrics in found.items():
                if name in member:
                    metrics[tuple(member["genome"])] = member[name]
    except (OSError, ValueError, KeyError, TypeError):
        return {}, {}
    return found["final"], found["test"]


def _info(folder: Path, settings: Mapping[str, Any], known: Mapping[str, Any], archive: Archive) -> RunInfo:
    group = folder.resolve().parent.name  # older versions did not store labels
    labels = {"group": group, "name": f"{group}-seed{settings['seed']}", "task": "search", "tags": ()}
    labels |= known.get("labels", {})
    return RunInfo(
        folder=folder,
        id=str(known["id"]),
        group=str(labels["group"]),
        name=str(labels["name"]),
        task=str(labels["task"]),
        tags=tuple(map(str, labels["tags"])),
        config=settings,
        objectives=archive.measures,
        steps=archive.next_step,
        evaluations=archive.n_evaluations(),
        about=known.get("about", {}),
        revision=revision(known),
    )
