"""``task=estimate``: the runs that another command line would start, handed to a task that starts none."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.cli.command import SHELVES, CommandLine, key_of
from nas.cli.compose import Job, Jobs, compose_jobs
from nas.cli.launching import launcher_settings
from nas.errors import UserError, unknown
from nas.experiment import Experiment
from nas.files import expanded
from nas.sweep import find_sweep
from nas.task.base import Task

_OWN = ("task", "sweep", "json")
"""What belongs to the task, and the keys below ``task``; everything else is for the sweep."""


def make_estimate(line: CommandLine, conf: Path) -> Task:
    """Return the task of a command line, with the runs that the rest of that line would start as a sweep.

    Raises:
        UserError: If anything is wrong with its settings or the sweep's.
    """
    own = tuple(word for word in line.words if _is_own(word))
    words = tuple(word for word in line.words if not _is_own(word))
    (job,) = compose_jobs(CommandLine(own, config_dirs=line.config_dirs), conf).jobs
    job.experiment(Path())  # checks the settings
    meant, name = _meant(line, words, job)
    jobs = compose_jobs(meant, conf)
    task: Task = job.experiment(Path()).part("task", planned=_runs(jobs, name), launcher=launcher_settings(jobs))
    return task


def _meant(line: CommandLine, words: tuple[str, ...], job: Job) -> tuple[CommandLine, str]:
    """Return the command line that starts the runs, and what they are called.

    Args:
        line: Command line of the task.
        words: Its words that belong to the runs.
        job: Settings of the task.
    """
    given = job.config.sweep
    typed = line.multirun or line.config_name
    if given is None and (typed or line.config_dirs):
        return line.changed(words=words), Path(line.config_name or "runs").stem
    if given is None or typed:
        raise UserError(
            "which runs to estimate: either name a sweep (sweep=NAME, FILE or FOLDER), or add task=estimate to the "
            "command line that starts them (-m ...)"
        )
    path, names = expanded(str(given), "sweep"), [file.stem for file in SHELVES.glob("*.yaml")]
    sweep: dict[str, Any] = {"config_path": None, "multirun": True}
    if path.is_file() and path.suffix == ".yaml":
        sweep |= {"config_dirs": (*line.config_dirs, str(path.parent.absolute())), "config_name": path.stem}
    elif str(path) in names:
        sweep |= {"config_dirs": (*line.config_dirs, str(SHELVES)), "config_name": str(path)}
    else:
        sweep |= _started(str(given), Path(str(job.config.paths.outputs)) / "sweeps", names)
    meant = line.changed(words=(*sweep.pop("overrides", ()), *words), **sweep)
    return meant, Path(sweep["config_name"] or path.name).stem


def _started(given: str, sweeps: Path, names: Sequence[str]) -> dict[str, Any]:
    """Return the command line of a sweep that was started before."""
    sweeps = expanded(sweeps, "paths.outputs")
    known = sorted(path.parent.name for path in sweeps.glob("*/sweep.json"))
    if not expanded(given, "sweep").is_dir() and given not in known:
        raise unknown("sweep", given, [*names, *known])
    return dict(find_sweep(given, sweeps).command())


def _is_own(word: str) -> bool:
    return key_of(word).partition(".")[0] in _OWN


def _runs(jobs: Jobs, name: str) -> Mapping[str, list[Experiment]]:
    """Return the runs by what sets their kind apart, seeds aside; ``name`` where there is one kind."""
    common = set.intersection(*(set(job.overrides) for job in jobs.jobs))
    runs: dict[str, list[Experiment]] = {}
    for job in jobs.jobs:
        apart = [word for word in job.overrides if word not in common and key_of(word) != "seed"]
        runs.setdefault(" ".join(apart) or name, []).append(job.experiment())
    return runs
