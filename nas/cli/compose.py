"""Composition of settings by Hydra, its errors in one line: the key, the nearest name and the choices."""

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from nas.cli.naming import register_resolvers
from nas.cli.recipes import adapted
from nas.cli.spelling import PUBLISHED_WORDS, check_spelling
from nas.errors import UserError, unknown
from nas.objective.base import TOP1_ERROR
from nas.settings import GROUPS


@dataclass(frozen=True)
class Job:
    """One job of a command line.

    Attributes:
        config: its settings, Hydra's own under ``hydra``.
        overrides: what the command line changes for it.
        adapted: what is changed beside it, so that the recipe fits; see :mod:`nas.cli.recipes`.
    """

    config: DictConfig
    overrides: tuple[str, ...]
    adapted: tuple[str, ...] = ()

    @property
    def left_out(self) -> list[str]:
        """The recipe's settings that ``adapted`` takes out."""
        return list(dict.fromkeys(word.lstrip("~").partition("=")[0] for word in self.adapted))


@dataclass(frozen=True)
class Jobs:
    """What a command line starts.

    Attributes:
        jobs: one, or those of a sweep.
        multirun: whether it is a sweep, even of one.
        config_name: its primary file of settings.
    """

    jobs: tuple[Job, ...]
    multirun: bool
    config_name: str

    @property
    def configs(self) -> list[DictConfig]:
        """The settings of all jobs."""
        return [job.config for job in self.jobs]

    @property
    def adapted(self) -> tuple[str, ...]:
        """What is changed in every job beside the command line."""
        first, *others = (job.adapted for job in self.jobs)
        return first if all(each == first for each in others) else ()


def compose_jobs(arguments: argparse.Namespace, conf: Path, config_name: str) -> Jobs:
    """Return every job that a command line starts.

    Args:
        arguments: the parsed command line.
        conf: the folder of settings.
        config_name: its primary file, unless ``arguments`` name another.

    Raises:
        UserError: if the command line is wrong.
    """
    register_resolvers()
    with _hydra(arguments, conf) as hydra:
        name = arguments.config_name or config_name
        try:
            return _jobs(hydra, name, arguments)
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(_with_the_task(one_line(error), arguments.overrides)) from error


def _with_the_task(message: str, words: Sequence[str]) -> str:
    """Return the message of an error of Hydra; where a recipe does not go with the task, one that says so."""
    found = re.match(r"In 'experiment/(.+)': Could not override '(.+)'\.", message)
    tasks = [word for word in words if word.startswith("task=")]
    if found is None or not tasks:
        return message
    return f"experiment={found[1]} chooses {found[2]}, which {tasks[-1]} does not have; leave {tasks[-1]} out"


@contextmanager
def _hydra(arguments: argparse.Namespace, conf: Path) -> Iterator[Hydra]:
    search_path = create_config_search_path(str(Path(arguments.config_path or conf).absolute()))
    assert isinstance(search_path, ConfigSearchPathImpl)
    if arguments.config_dir is not None:
        folder = Path(arguments.config_dir).absolute()
        if not folder.is_dir():
            raise UserError(f"--config-dir {arguments.config_dir} is no folder")
        search_path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
    try:
        yield Hydra.create_main_hydra2(task_name="nas", config_search_path=search_path)
    finally:
        GlobalHydra.instance().clear()


def _jobs(hydra: Hydra, name: str, arguments: argparse.Namespace) -> Jobs:
    parser = OverridesParser.create(config_loader=hydra.config_loader)
    typed = [_parsed(parser, text) for text in arguments.overrides]
    composed_with = cache(partial(_compose, hydra, name))
    own = [o for o in typed if o.key_or_group.startswith("hydra") and not o.is_sweep_override()]
    _check_overrides(hydra, own, composed_with)
    composed = composed_with(tuple(override.input_line or "" for override in own))
    multirun = arguments.multirun or composed.hydra.mode == RunMode.MULTIRUN
    if not multirun:
        for override in typed:
            if override.key_or_group == "hydra/launcher":
                raise UserError(
                    f"{override.input_line} needs -m (multirun): without it the launcher would be ignored; "
                    f"write launch.py -m {override.input_line} ..."
                )
            if override.is_sweep_override():
                key, _, value = str(override.input_line).partition("=")
                text = f", or {quoted(key, value)} for one text" if "/" in value or Path(value).exists() else ""
                raise UserError(
                    f"{override.input_line} names several values; write launch.py -m {override.input_line} ... to run "
                    f"all of them{text}"
                )
        _check_overrides(hydra, typed, composed_with)
        return Jobs((_job(hydra, name, typed, composed_with),), False, name)
    swept = [f"{key}={value}" for key, value in (composed.hydra.sweeper.get("params") or {}).items()]
    overrides = parser.parse_overrides([*swept, *arguments.overrides])
    lines = BasicSweeper.split_arguments(overrides, None)[0]
    jobs = []
    for line, label in zip(lines, labels(lines), strict=True):
        with named(label):
            parsed = parser.parse_overrides(line)
            _check_overrides(hydra, parsed, composed_with)
            jobs.append(_job(hydra, name, parsed, composed_with))
    return Jobs(tuple(jobs), True, name)


def labels(lines: Sequence[Sequence[str]]) -> list[str]:
    """Return what sets each job of a sweep apart, for example ``seed=3``; ``""`` where there is nothing."""
    common = set.intersection(*map(set, lines))
    return [" ".join(word.lstrip("+") for word in line if word not in common) for line in lines]


@contextmanager
def named(label: str) -> Iterator[None]:
    """Name the job of a sweep in the message of what is wrong with it."""
    try:
        yield
    except UserError as error:
        raise type(error)(f"job {label}: {error}" if label else str(error)) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(f"job {label}: {one_line(error)}" if label else one_line(error)) from error


def _job(
    hydra: Hydra, name: str, overrides: Sequence[Override], compose: Callable[[tuple[str, ...]], DictConfig]
) -> Job:
    words = tuple(override.input_line or "" for override in overrides)
    config = _compose(hydra, name, words)
    _check_constraints(config, hydra.config_loader.get_group_options("sec_obj"))
    also = adapted(config, overrides, compose)
    return Job(_compose(hydra, name, [*words, *also]) if also else config, words, also)


def _parsed(parser: OverridesParser, text: str) -> Override:
    check_spelling(text)
    try:
        return parser.parse_override(text)
    except HydraException as error:
        key, equals, value = text.partition("=")
        hint = f"{quoted(key, value)} for a text with spaces or special letters" if equals else "key=value"
        raise UserError(f"cannot read '{text}': write {hint}") from error


def quoted(key: str, value: str) -> str:
    """Return a word of the shell that gives a key one text, whatever letters are in it."""
    for mark in ("'", '"'):
        if value[:1] == value[-1:] == mark and len(value) > 1:
            value = value[1:-1]
    inside = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value)
    word = f"{key}='{inside}'"
    return '"' + re.sub(r'([\\"$`])', r"\\\1", word) + '"'


def _compose(hydra: Hydra, name: str, overrides: Sequence[str]) -> DictConfig:
    config = hydra.compose_config(
        config_name=name, overrides=list(overrides), run_mode=RunMode.RUN, with_log_configuration=False
    )
    HydraConfig.instance().set_config(config)
    return config


def _check_overrides(
    hydra: Hydra, overrides: Sequence[Override], compose: Callable[[tuple[str, ...]], DictConfig]
) -> None:
    """Raise UserError for the first override that names a choice or a key which does not exist."""
    loader = hydra.config_loader
    for override in overrides:
        if override.key_or_group == "hydra.sweep.subdir":
            raise UserError(
                "hydra.sweep.subdir is not used: paths.run is the folder of each run, for example "
                "'paths.run=outputs/mine/${seed}'"
            )
    groups = [override for override in overrides if loader.get_group_options(override.key_or_group)]
    for override in groups:
        group, options = override.key_or_group, loader.get_group_options(override.key_or_group)
        choices = _choices(override)
        for choice in choices:
            if choice not in options and (meant := PUBLISHED_WORDS.get((group, choice.lower()))):
                raise UserError(f"unknown choice for {group}: '{choice}', {meant}")
            if choice not in options:
                raise unknown(f"choice for {group}:", choice, options)
        if group in GROUPS and (len(choices) != 1 if group != "sec_obj" else not choices):
            several = f"; to run several, write launch.py -m {group}={','.join(choices)}" if choices else ""
            raise UserError(f"{group} takes one of its choices: {', '.join(options)}{several}")
    plain = [o for o in overrides if o not in groups and not (o.is_add() or o.is_force_add() or o.is_delete())]
    if not plain:
        return
    composed = compose(tuple(override.input_line or "" for override in groups))
    for override in plain:
        _check_key(composed, override.key_or_group, loader.list_groups(""))


def _choices(override: Override) -> list[str]:
    value = override.value()
    values: Sequence[Any] = value if isinstance(value, list) else [value]
    return [v.text if isinstance(v, QuotedString) else str(v) for v in values if v is not None]


def _check_key(config: DictConfig, key: str, groups: Sequence[str]) -> None:
    node: Any = config
    path: list[str] = []
    for part in key.split("."):
        if not isinstance(node, DictConfig):
            raise UserError(f"unknown key '{key}': {'.'.join(path)} is a single value")
        if part not in node.keys():  # noqa: SIM118 -- `in` alone leaves out keys without a value
            prefix = "".join(f"{name}." for name in path)
            known = {f"{prefix}{name}" for name in map(str, node) if not name.startswith("_")}
            if not path:
                known = (known | set(groups)) - {"hydra"}
            if not known:
                choice = config.hydra.runtime.choices.get(path[0])
                raise UserError(f"unknown key '{key}': {path[0]}{f'={choice}' if choice else ''} has no settings")
            raise unknown("key", key, known)
        node = node._get_node(part)
        path.append(part)


def _check_constraints(config: DictConfig, objectives: Sequence[str]) -> None:
    """Raise UserError for a bound that is neither least nor most, or on a cost that nothing is called.

    What the costs of a user's own classes are called is known when they are built.
    """
    constraints, chosen = config.get("constraints"), config.get("sec_obj")
    if not isinstance(constraints, DictConfig):
        return
    nodes = list(chosen.values()) if isinstance(chosen, DictConfig) else []
    own = any(not str(node.get("_target_")).startswith("nas.") for node in nodes if isinstance(node, DictConfig))
    known = {"flops", "params", *objectives}
    for name in map(str, constraints):
        if name not in known | {TOP1_ERROR.name} and not own:
            raise unknown("key", f"constraints.{name}", {f"constraints.{each}" for each in known})
        limits = constraints[name]
        for key in map(str, limits if isinstance(limits, DictConfig) else ()):
            if key not in ("min", "max"):
                both = [f"constraints.{name}.min", f"constraints.{name}.max"]
                raise unknown("key", f"constraints.{name}.{key}", both)


def one_line(error: Exception) -> str:
    """Return what an error of Hydra or OmegaConf says, without its pictures."""
    text = str(error) or str(error.__cause__ or type(error).__name__)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not set(line.strip()) <= {"^", "~"}]
    return " ".join(lines[:3])
