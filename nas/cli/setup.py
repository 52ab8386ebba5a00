"""From composed settings to a task that is ready to run."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from nas.cli.check import check
from nas.cli.naming import run_group
from nas.errors import UserError
from nas.experiment import Experiment
from nas.files import expanded
from nas.settings import Paths
from nas.targets import allowed_by
from nas.task.base import Task


def make_task(config: DictConfig, hydra: Any, run_folder: Path, **given: Any) -> Task:
    """Check the settings and return the task.

    Args:
        config: composed settings, without Hydra's own.
        hydra: Hydra's own settings.
        run_folder: where the run goes.
        given: arguments of a task that wants more than an experiment.

    Raises:
        UserError: if anything is wrong with the settings themselves; :meth:`Task.check` finds the rest.
    """
    task: Task = make_experiment(config, hydra, run_folder).part("task", **given)
    return task


def make_experiment(config: DictConfig, hydra: Any, run_folder: Path) -> Experiment:
    """Check the settings and return the experiment that they describe; arguments as of :func:`make_task`.

    Raises:
        UserError: if anything is wrong with the settings themselves.
    """
    choices = {str(group): choice for group, choice in hydra.runtime.choices.items()}
    plain = check(config)
    for name, path in plain["paths"].items():
        if not str(path).strip():
            raise UserError(f"paths.{name} is empty; give a folder, or leave it out for the default")
    paths = plain["paths"] | {"run": run_folder}
    return Experiment(
        plain,
        paths=Paths(**{key: expanded(path, f"paths.{key}") for key, path in paths.items()}),
        choices={group: str(choice) for group, choice in choices.items() if choice is not None},
        group=run_group(config, choices),
        allowed=allowed_by(plain),
    )


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a copy of composed settings that lacks Hydra's own."""
    copy = config.copy()
    OmegaConf.set_readonly(copy, False)
    OmegaConf.set_struct(copy, False)
    del copy["hydra"]
    return copy
