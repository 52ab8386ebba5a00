"""From composed settings to a task that is ready to run."""

from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from nas.cli.check import check, groups_of
from nas.cli.naming import run_group
from nas.errors import UserError
from nas.files import expanded
from nas.parts import build
from nas.pool.stored_parts import allowed_by
from nas.task.base import Paths, Settings, Setup, Task


def make_task(config: DictConfig, hydra: Any, run_folder: Path, **offers: Any) -> Task:
    """Check the settings and return the task.

    Args:
        config: composed settings, without Hydra's own.
        hydra: Hydra's own settings.
        run_folder: where the run goes.
        offers: runtime arguments of a task that wants more than a setup.

    Raises:
        UserError: if anything is wrong with the settings themselves; :meth:`Task.check` finds the rest.
    """
    setup = make_setup(config, hydra, run_folder)
    task: Task = build(instantiate(config.task, _convert_="all"), {"setup": setup, **offers})
    return task


def make_setup(config: DictConfig, hydra: Any, run_folder: Path) -> Setup:
    """Check the settings and return everything that they say; arguments as of :func:`make_task`.

    Raises:
        UserError: if anything is wrong with the settings themselves.
    """
    choices = {str(group): choice for group, choice in hydra.runtime.choices.items()}
    plain = check(config)
    for name, path in plain["paths"].items():
        if not str(path).strip():
            raise UserError(f"paths.{name} is empty; give a folder, or leave it out for the default")
    allowed_by(plain)
    paths = plain["paths"] | {"run": run_folder}
    groups = (groups_of(config) & plain.keys()) - {"paths", "task"}
    parts: dict[str, Any] = {group: instantiate(config[group], _convert_="all") for group in groups}
    return Setup(
        settings=Settings(**{key: plain[key] for key in Settings.__dataclass_fields__}),
        paths=Paths(**{key: expanded(path, f"paths.{key}") for key, path in paths.items()}),
        parts=parts,
        group=run_group(config, choices),
        choices={group: str(choice) for group, choice in choices.items() if choice is not None},
        resolved=plain,
    )


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a copy of composed settings that lacks Hydra's own."""
    copy = config.copy()
    OmegaConf.set_readonly(copy, False)
    OmegaConf.set_struct(copy, False)
    del copy["hydra"]
    return copy
