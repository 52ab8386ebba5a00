"""From composed settings to an experiment: every key and value is checked against the constructor that reads it."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ConfigDict, TypeAdapter, ValidationError

from nas.cli.naming import run_group
from nas.errors import UserError, missing_package, nearest, unknown
from nas.experiment import Experiment
from nas.files import expanded
from nas.settings import GROUPS, PROVIDED, Paths, Settings, arguments
from nas.targets import allowed_by
from nas.task.base import Task

_PLAIN = {"": Settings, "paths": Paths}


def make_experiment(config: DictConfig, run_folder: Path) -> Experiment:
    """Check the settings and return the experiment that they describe.

    Args:
        config: Composed settings, with Hydra's own.
        run_folder: Run folder.

    Raises:
        UserError: If anything is wrong with the settings themselves; :meth:`Task.check` finds the rest.
    """
    choices = {str(group): choice for group, choice in config.hydra.runtime.choices.items()}
    settings = without_hydra(config)
    plain = check(settings)
    for name, path in plain["paths"].items():
        if not str(path).strip():
            raise UserError(f"paths.{name} is empty; give a folder, or leave it out for the default")
    paths = plain["paths"] | {"run": run_folder}
    return Experiment(
        plain,
        paths=Paths(**{key: expanded(path, f"paths.{key}") for key, path in paths.items()}),
        choices={group: str(choice) for group, choice in choices.items() if choice is not None},
        group=run_group(settings, choices),
        allowed=allowed_by(plain),
    )


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a copy of composed settings that lacks Hydra's own."""
    copy = config.copy()
    OmegaConf.set_readonly(copy, False)
    OmegaConf.set_struct(copy, False)
    del copy["hydra"]
    return copy


def check(config: DictConfig) -> dict[str, Any]:
    """Check every key and value, and return all settings as plain values.

    Args:
        config: Composed settings, without Hydra's own.

    Raises:
        UserError: For a value that is missing, of the wrong type or out of range, and for a key nobody reads.
    """
    for key in _missing("", config):
        raise UserError(f"{key} must be given: add {key}=VALUE to the command line")
    try:
        plain = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(" ".join(line.strip() for line in str(error).splitlines()[:2])) from error
    assert isinstance(plain, dict)
    settings = {str(key): value for key, value in plain.items()}
    read_by_task = {raw[2:-1] for raw in _raw_strings(config.task) if raw.startswith("${")}
    _check_node("", {key: value for key, value in settings.items() if key not in GROUPS | read_by_task}, Settings)
    for group in sorted(groups_of(config) & settings.keys()):
        if group in _PLAIN:
            _check_node(group, settings[group], _PLAIN[group])
        else:
            for path, node in _targets(group, settings[group]):
                _check_node(path, node, _load(path, node["_target_"]), PROVIDED)
    return settings


def groups_of(config: DictConfig) -> frozenset[str]:
    """Return the groups of settings that the task looks at."""
    return GROUPS if task_of(config).needs_parts else frozenset({"paths", "task"})


def task_of(config: DictConfig) -> type[Task]:
    """Return the class of the task."""
    task: type[Task] = _load("task", config.task._target_)
    return task


def check_part(path: str, node: Mapping[str, Any]) -> Any:
    """Check the keys and values of one node that names its ``_target_``, and return that."""
    target = _load(path, node["_target_"])
    _check_node(path, node, target)
    return target


def _missing(prefix: str, node: DictConfig) -> Iterator[str]:
    """Yield the keys that have no value; one that refers to such a key is not named itself."""
    for key in map(str, node.keys()):  # iterating the node itself leaves out keys without a value
        if OmegaConf.is_interpolation(node, key):
            continue
        if OmegaConf.is_missing(node, key):
            yield f"{prefix}{key}"
        elif isinstance(node[key], DictConfig):
            yield from _missing(f"{prefix}{key}.", node[key])


def _raw_strings(node: DictConfig) -> list[str]:
    """Return the node's texts as they were written, interpolations unresolved."""
    plain = OmegaConf.to_container(node, resolve=False)
    assert isinstance(plain, dict)
    return [value for value in plain.values() if isinstance(value, str)]


def _targets(path: str, node: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not isinstance(node, dict):
        raise UserError(f"{path}={node} is wrong: a group takes the name of one of its choices")
    if "_target_" in node:
        yield path, node
    for key, value in node.items():
        if _is_part(value) or (isinstance(value, dict) and "_target_" not in node):
            yield from _targets(f"{path}.{key}", value)
        elif "_target_" not in node:
            raise unknown("key", f"{path}.{key}", [f"{path}.{name}" for name in node if name != key])


def _is_part(value: Any) -> bool:
    """Return whether a value describes a part, or several by name."""
    return isinstance(value, dict) and ("_target_" in value or (bool(value) and all(map(_is_part, value.values()))))


def _load(path: str, target: str) -> Any:
    """Return the class that a node names."""
    module, _, name = target.rpartition(".")
    try:
        loaded = import_module(module or target)
        return getattr(loaded, name)
    except Exception as error:  # code of the user's own may raise anything
        raise UserError(f"{path}._target_={target} cannot be loaded: {_reason(target, error)}") from error


def _reason(target: str, error: Exception) -> str:
    """Return in one line why a class cannot be loaded."""
    module, _, name = target.rpartition(".")
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        if missing := missing_package(error):
            return str(missing)
        if error.name == target.partition(".")[0]:
            return f"module '{error.name}' is not found; add its folder to PYTHONPATH"
        if target.startswith(f"{error.name}."):
            return f"module '{error.name}' is not found"
    if isinstance(error, AttributeError) and module in sys.modules:
        return f"module '{module}' has no {name}{nearest(name, dir(sys.modules[module]))}"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _check_node(path: str, node: Mapping[str, Any], target: Any, offered: frozenset[str] = frozenset()) -> None:
    """Compare a node's keys and values with the keyword arguments of ``target`` that are not ``offered`` to it."""
    parameters = {name: p for name, p in arguments(target, ranges=True).items() if name not in offered}
    prefix = f"{path}." if path else ""
    for key, value in node.items():
        if key in ("_target_", "_partial_"):
            continue
        if key not in parameters:
            raise unknown(
                "key", f"{prefix}{key}", [f"{prefix}{name}" for name in parameters] + ([] if path else [*GROUPS])
            )
        if not _is_part(value):
            _check_value(f"{prefix}{key}", value, parameters[key].annotation)
    for parameter in parameters.values():
        if parameter.name not in node and parameter.default is parameter.empty:
            raise UserError(f"{prefix}{parameter.name} must be given: it was removed or never set")


def _check_value(key: str, value: Any, hint: Any) -> None:
    if "" in (value if isinstance(value, list) else [value]) and _takes_paths(hint):
        raise UserError(f"{key} is empty, as it is where a shell variable is not set: give a path (. for this folder)")
    adapter: TypeAdapter[Any] = TypeAdapter(hint, config=ConfigDict(allow_inf_nan=False))
    try:
        adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = _place(value, first["loc"])
        reason = first["msg"][0].lower() + first["msg"][1:]
        raise UserError(f"{key}{where}={first['input']!r} is wrong: {reason.replace('input ', 'it ')}") from error


def _takes_paths(hint: Any) -> bool:
    return hint is Path or any(map(_takes_paths, get_args(hint)))


def _place(value: Any, location: Sequence[int | str]) -> str:
    """Return where in ``value`` something is, for example ``.flops.max`` or ``[2]``."""
    place = ""
    for part in location:  # names of alternatives of a type are among them
        if isinstance(value, dict) and part in value:
            place, value = f"{place}.{part}", value[part]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            place, value = f"{place}[{part}]", value[part]
    return place
