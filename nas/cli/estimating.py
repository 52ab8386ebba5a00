"""``task=estimate sweep=NAME``: the runs that another command line would start, handed to a task that starts none."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from nas.cli.compose import Job, Jobs, compose_jobs
from nas.cli.launching import key_of, launcher_settings
from nas.cli.scale import SHELVES
from nas.cli.setup import make_setup, make_task, without_hydra
from nas.errors import UserError, unknown
from nas.task.base import Setup, Task

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
    if arguments.config_dir or arguments.config_name or arguments.multirun:
        raise UserError("task=estimate starts nothing: write sweep=NAME instead of -cd, -cn and -m")
    own = [word for word in arguments.overrides if _is_own(word)]
    words = [word for word in arguments.overrides if not _is_own(word)]
    (job,) = compose_jobs(_with(arguments, overrides=own), conf, config_name).jobs
    make_task(without_hydra(job.config), job.config.hydra, Path(), planned={}, launcher={})  # checks the settings
    name = _name(str(job.config.sweep))
    sweep = {"config_dir": str(SHELVES), "config_name": name, "multirun": True}
    jobs = compose_jobs(_with(arguments, overrides=words, **sweep), conf, config_name)
    launcher, planned = launcher_settings(jobs), _runs(jobs, name)
    return make_task(without_hydra(job.config), job.config.hydra, Path(), planned=planned, launcher=launcher)


def _is_own(word: str) -> bool:
    return key_of(word).partition(".")[0] in _OWN


def _with(arguments: argparse.Namespace, **changes: Any) -> argparse.Namespace:
    return argparse.Namespace(**(vars(arguments) | changes))


def _name(given: str) -> str:
    """Return the name of a file in the folder of sweeps."""
    names = [path.stem for path in SHELVES.glob("*.yaml")]
    path = Path(given)
    inside = len(path.parts) == 1 or path.parent.absolute() == SHELVES.absolute()
    name = path.name.removesuffix(".yaml") if inside else given
    if name not in names:
        raise unknown("sweep", name, names)
    return name


def _runs(jobs: Jobs, name: str) -> Mapping[str, list[Setup]]:
    """Return the runs by what sets their kind apart, seeds aside; ``name`` where there is one kind."""
    common = set.intersection(*(set(job.overrides) for job in jobs.jobs))
    runs: dict[str, list[Setup]] = {}
    for job in jobs.jobs:
        apart = [word for word in job.overrides if word not in common and key_of(word) != "seed"]
        runs.setdefault(" ".join(apart) or name, []).append(_setup(job))
    return runs


def _setup(job: Job) -> Setup:
    HydraConfig.instance().set_config(job.config)
    return make_setup(without_hydra(job.config), job.config.hydra, Path(job.config.hydra.run.dir))
