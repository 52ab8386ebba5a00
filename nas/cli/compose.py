"""Composition of settings by Hydra, once a job; its errors in one line: the key, the nearest name and the choices."""

import itertools
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.basecontainer import BaseContainer
from omegaconf.errors import OmegaConfBaseException

from nas.cli.check import make_experiment
from nas.cli.command import CONF, PUBLISHED_WORDS, SHELVES, CommandLine, check_spelling, labels, quoted
from nas.cli.naming import register_resolvers
from nas.cli.recipes import adapted
from nas.cli.searchpath import SearchPath, own_folders
from nas.errors import UserError, program, unknown
from nas.experiment import Experiment
from nas.objective.base import TOP1_ERROR
from nas.settings import GROUPS


@dataclass(frozen=True)
class Job:
    """One job of a command line.

    Attributes:
        config: Its settings, Hydra's own under ``hydra``.
        overrides: Words of the command line that hold for this job.
        adapted: Words added so that the recipe fits the chosen parts; see :mod:`nas.cli.recipes`.
    """

    config: DictConfig
    overrides: tuple[str, ...]
    adapted: tuple[str, ...] = ()

    @property
    def left_out(self) -> list[str]:
        """The recipe's settings that ``adapted`` takes out."""
        return list(dict.fromkeys(word.lstrip("~").partition("=")[0] for word in self.adapted))

    @property
    def choices(self) -> Mapping[str, Any]:
        """The word chosen for each group."""
        choices: Mapping[str, Any] = self.config.hydra.runtime.choices
        return choices

    def experiment(self, folder: Path | None = None) -> Experiment:
        """Return the experiment that the settings describe.

        Args:
            folder: Run folder; ``None`` for the one in the settings.

        Raises:
            UserError: If anything is wrong with the settings themselves.
        """
        HydraConfig.instance().set_config(self.config)  # for ${hydra:...} in other settings
        return make_experiment(self.config, Path(self.config.hydra.run.dir) if folder is None else folder)


@dataclass(frozen=True)
class Jobs:
    """Jobs that a command line starts.

    Attributes:
        jobs: One, or those of a sweep.
        multirun: Whether it is a sweep, even of one.
        config_name: Its primary file of settings.
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
        """Words added to every job besides the command line."""
        first, *others = (job.adapted for job in self.jobs)
        return first if all(each == first for each in others) else ()


def experiment_of(words: Sequence[str], *, conf: Path = CONF) -> Experiment:
    """Return the experiment that a command line describes, for example ``["dataset=digits", "supernet=tiny"]``.

    Args:
        words: Flags and words, as they stand behind ``launch.py``; they start one run.
        conf: The folder of settings.

    Raises:
        UserError: If anything is wrong with the settings themselves; parts find the rest when they are asked for.
    """
    flags = [word for word in words if word.startswith("-")]
    if flags:
        raise UserError(f"'{flags[0]}' is a flag of the command line; give words, for example 'dataset=digits'")
    with _own_hydra():
        jobs = compose_jobs(CommandLine.parsed(words), conf).jobs
        if len(jobs) != 1:
            raise UserError(f"these words start {len(jobs)} runs, not one")
        return jobs[0].experiment()


_hydra_lock = threading.RLock()


@contextmanager
def _own_hydra() -> Iterator[None]:
    """Use Hydra without a trace: the program around may use it too, and other threads may compose."""
    with _hydra_lock:
        hydra_of_others, config = GlobalHydra.instance(), HydraConfig.instance()
        before, settings, resolvers = hydra_of_others.hydra, config.cfg, dict(BaseContainer._resolvers)
        hydra_of_others.clear()
        try:
            yield
        finally:
            hydra_of_others.hydra, config.cfg = before, settings
            BaseContainer._resolvers = resolvers
            SearchPath.use(None, ())


def compose_jobs(line: CommandLine, conf: Path = CONF) -> Jobs:
    """Return every job that a command line starts.

    Settings are composed once a job. A sweep needs one composition more, for what its file says about it, and a recipe
    some of whose parts are replaced up to three, which tell its settings from theirs; a wrong line those of its groups
    alone, to name the nearest key.

    Raises:
        UserError: If the command line is wrong.
    """
    with _Composer(line, conf) as composer:
        try:
            return composer.jobs()
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(_with_the_task(one_line(error), line.words)) from error


def _with_the_task(message: str, words: Sequence[str]) -> str:
    """Return the message of an error of Hydra; where a recipe does not go with the task, one that says so."""
    found = re.match(r"In 'experiment/(.+)': Could not override '(.+)'\.", message)
    tasks = [word for word in words if word.startswith("task=")]
    if found is None or not tasks:
        return message
    return f"experiment={found[1]} chooses {found[2]}, which {tasks[-1]} does not have; leave {tasks[-1]} out"


def use_folders(line: CommandLine, conf: Path) -> None:
    """Let Hydra find the settings that a command line means: its scale's, and the user's own."""
    register_resolvers()
    SearchPath.use(None if line.scale is None else SHELVES / line.scale, own_folders(line.config_dirs, conf))


class _Composer:
    """Composes settings of words; those of the same words once."""

    def __init__(self, line: CommandLine, conf: Path) -> None:
        self.line = line
        self.name = line.config_name or "config"
        folder = str(Path(line.config_path or conf).absolute())
        use_folders(line, Path(folder))
        self._hydra = hydra.initialize_config_dir(folder, job_name="nas", version_base="1.3")
        self._known: dict[tuple[str, ...], DictConfig] = {}

    def __enter__(self) -> "_Composer":
        self._hydra.__enter__()
        self.loader = GlobalHydra.instance().config_loader()
        self.parser = OverridesParser.create(config_loader=self.loader)
        return self

    def __exit__(self, *error: Any) -> None:
        self._hydra.__exit__(*error)

    def composed(self, words: Sequence[str]) -> DictConfig:
        """Return the settings of words; HydraException or OmegaConfBaseException if they are wrong."""
        if tuple(words) not in self._known:
            config = hydra.compose(self.name, list(words), return_hydra_config=True)
            HydraConfig.instance().set_config(config)
            self._known[tuple(words)] = config
        return self._known[tuple(words)]

    def jobs(self) -> Jobs:
        """Return the jobs of the command line."""
        typed = [self._parsed(word) for word in self.line.words]
        needs_sweep = any(each.is_sweep_override() or each.key_or_group == "hydra/launcher" for each in typed)
        if not self.line.multirun and not needs_sweep:
            self._check_choices(typed)
            try:
                whole = self.composed(_texts(typed))
            except (HydraException, OmegaConfBaseException):
                pass  # the words of a sweep's file may lack choices that its jobs make
            else:
                if whole.hydra.mode != RunMode.MULTIRUN:
                    return Jobs((self._job(typed),), False, self.name)
        own = [each for each in typed if each.key_or_group.startswith("hydra") and not each.is_sweep_override()]
        self._check(own)
        shared = self.composed(_texts(own))
        if not (self.line.multirun or shared.hydra.mode == RunMode.MULTIRUN):
            _check_single(typed)
            self._check(typed)
            return Jobs((self._job(typed),), False, self.name)
        swept = [f"{key}={value}" for key, value in (shared.hydra.sweeper.get("params") or {}).items()]
        lines = _combinations(self.parser.parse_overrides([*swept, *self.line.words]))
        jobs = []
        for words, label in zip(lines, labels(lines), strict=True):
            with named(label):
                jobs.append(self._job(self.parser.parse_overrides(words)))
        return Jobs(tuple(jobs), True, self.name)

    def _job(self, overrides: Sequence[Override]) -> Job:
        self._check_choices(overrides)
        words = tuple(_texts(overrides))
        try:
            config = self.composed(words)
        except (HydraException, OmegaConfBaseException):
            self._check(overrides)
            raise
        _check_constraints(config, self.loader.get_group_options("sec_obj"))
        also = adapted(config, overrides, self.composed)
        return Job(self.composed([*words, *also]) if also else config, words, also)

    def _parsed(self, text: str) -> Override:
        check_spelling(text)
        try:
            return self.parser.parse_override(text)
        except HydraException as error:
            key, equals, value = text.partition("=")
            hint = f"{quoted(key, value)} for a text with spaces or special letters" if equals else "key=value"
            raise UserError(f"cannot read '{text}': write {hint}") from error

    def _check(self, overrides: Sequence[Override]) -> None:
        """Raise UserError for the first override that names a choice or a key which does not exist."""
        self._check_choices(overrides)
        groups = [each for each in overrides if self.loader.get_group_options(each.key_or_group)]
        plain = [o for o in overrides if o not in groups and not (o.is_add() or o.is_force_add() or o.is_delete())]
        if plain:
            composed = self.composed(_texts(groups))
            for override in plain:
                _check_key(composed, override.key_or_group, self.loader.list_groups(""))

    def _check_choices(self, overrides: Sequence[Override]) -> None:
        """Raise UserError for the first override of a group that names no choice, or too many."""
        for override in overrides:
            if override.key_or_group == "hydra.sweep.subdir":
                raise UserError(
                    "hydra.sweep.subdir is not used: paths.run is the folder of each run, for example "
                    "'paths.run=outputs/mine/${seed}'"
                )
        for override in overrides:
            group, options = override.key_or_group, self.loader.get_group_options(override.key_or_group)
            if not options:
                continue
            choices = _choices(override)
            for choice in choices:
                if choice not in options and (meant := PUBLISHED_WORDS.get((group, choice.lower()))):
                    raise UserError(f"unknown choice for {group}: '{choice}', {meant}")
                if choice not in options:
                    raise unknown(f"choice for {group}:", choice, options)
            if group in GROUPS and (len(choices) != 1 if group != "sec_obj" else not choices):
                several = f"; to run several, write {program()} -m {group}={','.join(choices)}" if choices else ""
                raise UserError(f"{group} takes one of its choices: {', '.join(options)}{several}")


def _check_single(overrides: Sequence[Override]) -> None:
    """Raise UserError for words that only a sweep can use."""
    for override in overrides:
        if override.key_or_group == "hydra/launcher":
            raise UserError(
                f"{override.input_line} needs -m (multirun): without it the launcher would be ignored; "
                f"write {program()} -m {override.input_line} ..."
            )
        if override.is_sweep_override():
            key, _, value = str(override.input_line).partition("=")
            text = f", or {quoted(key, value)} for one text" if "/" in value or Path(value).exists() else ""
            raise UserError(
                f"{override.input_line} names several values; write {program()} -m {override.input_line} ... to run "
                f"all of them{text}"
            )


def _combinations(overrides: Sequence[Override]) -> list[list[str]]:
    """Return the words of each job of a sweep: all combinations of values, the last key's changing fastest."""
    values: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if override.is_sweep_override() and not override.is_discrete_sweep():
            raise UserError(f"{override.input_line} is no list of values, as seed=0,1 and seed='range(3)' are")
        swept = override.is_sweep_override()
        values[key] = list(override.sweep_string_iterator()) if swept else [override.get_value_element_as_str()]
    words = ([f"{key}={value}" for value in each] for key, each in values.items())
    return [list(line) for line in itertools.product(*words)]


@contextmanager
def named(label: str) -> Iterator[None]:
    """Name the job of a sweep in the message of what is wrong with it."""
    try:
        yield
    except UserError as error:
        raise type(error)(f"job {label}: {error}" if label else str(error)) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(f"job {label}: {one_line(error)}" if label else one_line(error)) from error


def _texts(overrides: Sequence[Override]) -> list[str]:
    return [override.input_line or "" for override in overrides]


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
        limit = constraints[name]
        check_limit(name, map(str, limit if isinstance(limit, DictConfig) else ()))


def check_limit(name: str, keys: Iterable[str]) -> None:
    """Raise UserError unless the keys of a cost's constraint are ``min`` and ``max`` alone."""
    for key in keys:
        if key not in ("min", "max"):
            both = [f"constraints.{name}.min", f"constraints.{name}.max"]
            raise unknown("key", f"constraints.{name}.{key}", both)


def one_line(error: Exception) -> str:
    """Return what an error of Hydra or OmegaConf says, without its pictures."""
    text = str(error) or str(error.__cause__ or type(error).__name__)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not set(line.strip()) <= {"^", "~"}]
    return " ".join(lines[:3])
