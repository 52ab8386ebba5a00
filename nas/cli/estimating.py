"""``task=estimate``: the runs that another command line would start, handed to a task that starts none."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from nas.cli.compose import Job, Jobs, compose_jobs
from nas.cli.launching import key_of, launcher_settings
from nas.cli.scale import SHELVES
from nas.cli.setup import make_experiment, make_task, without_hydra
from nas.errors import UserError, unknown
from nas.experiment import Experiment
from nas.files import expanded
from nas.sweep import find_sweep
from nas.task.base import Task

_OWN = ("task", "sweep", "json")
"""What belongs to the task, and the keys below ``task``; everything else is for the sweep."""


def asks_for_estimate(arguments: argparse.Namespace) -> bool:
    """Return whether a command line is one of ``task=estimate``."""
    tasks = [word for word in arguments.overrides if key_of(word) == "task"]
    return tasks[-1:] == ["task=estimate"]


def make_estimate(arguments: argparse.Namespace, conf: Path, config_name: str) -> Task:
    """Return the task of a command line, with the runs that the rest of that line would start as a sweep.

    Raises:
        UserError: if anything is wrong with its settings or the sweep's.
    """
    own = [word for word in arguments.overrides if _is_own(word)]
    words = [word for word in arguments.overrides if not _is_own(word)]
    flags = {"config_path": None, "config_dir": None, "config_name": None, "multirun": False}
    (job,) = compose_jobs(_with(arguments, flags, overrides=own), conf, config_name).jobs
    make_task(without_hydra(job.config), job.config.hydra, Path(), planned={}, launcher={})  # checks the settings
    line, name = _meant(arguments, words, job)
    jobs = compose_jobs(line, conf, config_name)
    launcher, planned = launcher_settings(jobs), _runs(jobs, name)
    return make_task(without_hydra(job.config), job.config.hydra, Path(), planned=planned, launcher=launcher)


def _meant(arguments: argparse.Namespace, words: Sequence[str], job: Job) -> tuple[argparse.Namespace, str]:
    """Return the command line that starts the runs, and what they are called.

    Args:
        arguments: command line of the task.
        words: its words that belong to the runs.
        job: settings of the task.
    """
    given = job.config.sweep
    typed = arguments.multirun or arguments.config_name or arguments.config_dir
    if given is None and typed:
        return _with(arguments, {}, overrides=list(words)), Path(arguments.config_name or "runs").stem
    if given is None or typed:
        raise UserError(
            "which runs to estimate: either name a sweep (sweep=NAME, FILE or FOLDER), or add task=estimate to the "
            "command line that starts them (-m ...)"
        )
    path, names = expanded(str(given), "sweep"), [file.stem for file in SHELVES.glob("*.yaml")]
    sweep: dict[str, Any] = {"config_path": None, "multirun": True}
    if path.is_file() and path.suffix == ".yaml":
        sweep |= {"config_dir": str(path.parent.absolute()), "config_name": path.stem}
    elif str(path) in names:
        sweep |= {"config_dir": str(SHELVES), "config_name": str(path)}
    else:
        sweep |= _started(str(given), Path(str(job.config.paths.outputs)) / "sweeps", names)
        sys.argv += [word for word in sweep["overrides"] if word.startswith("scale=")]  # where its shelf is looked for
    overrides = [*sweep.pop("overrides", ()), *words]
    return _with(arguments, sweep, overrides=overrides), Path(sweep["config_name"] or path.name).stem


def _started(given: str, sweeps: Path, names: Sequence[str]) -> dict[str, Any]:
    """Return the command line of a sweep that was started before."""
    sweeps = expanded(sweeps, "paths.outputs")
    known = sorted(path.parent.name for path in sweeps.glob("*/sweep.json"))
    if not expanded(given, "sweep").is_dir() and given not in known:
        raise unknown("sweep", given, [*names, *known])
    return {"config_dir": None, **find_sweep(given, sweeps).command()}


def _is_own(word: str) -> bool:
    return key_of(word).partition(".")[0] in _OWN


def _with(arguments: argparse.Namespace, changes: Mapping[str, Any], overrides: Sequence[str]) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(arguments), **changes, "overrides": list(overrides)})


def _runs(jobs: Jobs, name: str) -> Mapping[str, list[Experiment]]:
    """Return the runs by what sets their kind apart, seeds aside; ``name`` where there is one kind."""
    common = set.intersection(*(set(job.overrides) for job in jobs.jobs))
    runs: dict[str, list[Experiment]] = {}
    for job in jobs.jobs:
        apart = [word for word in job.overrides if word not in common and key_of(word) != "seed"]
        runs.setdefault(" ".join(apart) or name, []).append(_experiment(job))
    return runs


def _experiment(job: Job) -> Experiment:
    HydraConfig.instance().set_config(job.config)
    return make_experiment(without_hydra(job.config), job.config.hydra, Path(job.config.hydra.run.dir))
