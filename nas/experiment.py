"""Experiments: settings, and the parts that they describe, each built once, when it is first asked for."""

from __future__ import annotations  # types of parts are not imported before they are needed

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, final, get_args, get_origin

from nas.errors import NasError, UserError, unknown
from nas.run.folder import RunFolder
from nas.settings import GROUPS, PROVIDED, Paths, Settings, arguments
from nas.targets import Allowed, allowed_by, class_of, names_own

if TYPE_CHECKING:  # what is not asked for is not imported either: torch takes seconds
    from nas.algorithm.base import Algorithm
    from nas.dataset.base import Dataset
    from nas.evaluator.base import ArrayEvaluator, Evaluator
    from nas.executor.base import Executor
    from nas.objective.base import Objective
    from nas.optimizer.base import Optimizer
    from nas.pool.base import Pool
    from nas.selector.base import Selector
    from nas.space.base import SearchSpace, SpaceSource
    from nas.space.table import CostTable
    from nas.supernet.base import Supernet
    from nas.surrogate.base import Surrogate
    from nas.tracker.base import Tracker
    from nas.training.base import Training

BASES = {
    "algorithm": ("nas.algorithm.base", "Algorithm"),
    "dataset": ("nas.dataset.base", "Dataset"),
    "evaluator": ("nas.evaluator.base", "Evaluator", "ArrayEvaluator"),
    "executor": ("nas.executor.base", "Executor"),
    "finetuning": ("nas.finetuning.recipe", "Recipe"),
    "optimizer": ("nas.optimizer.base", "Optimizer"),
    "pool": ("nas.pool.base", "Pool"),
    "sec_obj": ("nas.objective.base", "Objective"),
    "selector": ("nas.selector.base", "Selector"),
    "space": ("nas.space.base", "SpaceSource"),
    "supernet": ("nas.supernet.base", "Supernet"),
    "surrogate": ("nas.surrogate.base", "Surrogate"),
    "task": ("nas.task.base", "Task"),
    "tracker": ("nas.tracker.base", "Tracker"),
    "training": ("nas.training.base", "Training"),
}
"""Where the base classes of a group are: module and names."""

REPLACEABLE = tuple(sorted(BASES.keys() - {"finetuning", "sec_obj", "task"}))
"""Groups whose part may be an object that is given in Python."""

_ATTRIBUTES = {"space": "source", "sec_obj": "objectives"}
"""Attributes of an experiment that are not named like their group."""

COMMAND_LINE = Path("the command line")
"""Where settings are from that no file holds, for messages."""


@final
class Experiment:
    """Settings, and the parts that they describe.

    A part is built when it is first asked for, and then stays. A constructor gets the settings of its node; where it
    names something else that an experiment has (``PROVIDED``), such as ``dataset`` or ``space``, it gets that. So
    parts build each other in the order in which they need each other.

    Example:
        >>> experiment = Experiment(
        ...     {"optimizer": {"_target_": "nas.optimizer.nsga2.NSGA2", "population": 20, "generations": 5}},
        ...     paths=Paths(cache=Path("cache"), outputs=Path("out"), networks=Path("nets"), run=Path("run")),
        ... )
        >>> type(experiment.optimizer).__name__
        'NSGA2'

    Attributes:
        resolved: All settings as plain values.
        settings: Those that belong to no group.
        paths: Folders of cache, outputs, networks and run.
        choices: The word chosen for each group; empty where settings are from a folder.
        group: Short name of the settings without the seed; runs that differ by the seed alone share it.
        allowed: Classes from outside ``nas`` that settings may name.
        origin: The file that the settings are from, for messages.
    """

    def __init__(
        self,
        resolved: Mapping[str, Any],
        *,
        paths: Paths,
        choices: Mapping[str, str] | None = None,
        group: str = "",
        allowed: Allowed | None = None,
        origin: Path = COMMAND_LINE,
        parts: Mapping[str, Any] | None = None,
    ) -> None:
        """Take the settings; nothing is built yet.

        Args:
            resolved: All settings as plain values, nodes of parts by group; groups that nobody asks for may lack.
            paths: Folders of cache, outputs, networks and run.
            choices: The word chosen for each group.
            group: Short name of the settings without the seed.
            allowed: Classes from outside ``nas`` that settings may name; ``None`` for those that they name themselves.
            origin: The file that the settings are from, for messages.
            parts: Objects in place of what settings describe, by the attribute's name.
        """
        self.resolved = resolved
        known = {each.name for each in fields(Settings)} & resolved.keys()
        self.settings = Settings(**{name: resolved[name] for name in known})
        self.paths = paths
        self.choices = {} if choices is None else choices
        self.group = group
        self.allowed = allowed_by(resolved) if allowed is None else allowed
        self.origin = origin
        self._parts = {} if parts is None else dict(parts)
        for name in self._parts:
            if not hasattr(Experiment, name):
                raise TypeError(f"an experiment has no part '{name}'")
        self.__dict__.update(self._parts)

    @classmethod
    def of_folder(
        cls,
        settings: Mapping[str, Any],
        folder: Path,
        *,
        device: str,
        cache: Path,
        allowed: Allowed,
        origin: Path | None = None,
        parts: Mapping[str, Any] | None = None,
    ) -> Experiment:
        """Return an experiment of settings that a folder holds.

        Args:
            settings: Settings of a run or a model, as far as the folder has them.
            folder: Run folder.
            device: Torch device of the networks.
            cache: Folder of trained supernets, downloaded files and decoded images.
            allowed: Classes from outside ``nas`` that the settings may name.
            origin: Their file, for messages; ``None`` for the folder's ``config.yaml``.
            parts: Objects in place of what settings describe.
        """
        paths = Paths(cache=cache, outputs=folder.parent, networks=folder.parent, run=folder)
        return cls(
            settings,
            paths=paths,
            allowed=allowed,
            origin=folder / "config.yaml" if origin is None else origin,
            parts={"device": device, **({} if parts is None else parts)},
        )

    def changed(self, settings: Mapping[str, Mapping[str, Any]] | None = None, **parts: Any) -> Experiment:
        """Return a new experiment with some settings or parts replaced; other parts are built anew.

        Args:
            settings: New values by group and key.
            parts: Objects in place of what settings describe.
        """
        nodes = {group: {**self.resolved[group], **values} for group, values in (settings or {}).items()}
        return Experiment(
            {**self.resolved, **nodes},
            paths=self.paths,
            choices=self.choices,
            group=self.group,
            allowed=self.allowed,
            origin=self.origin,
            parts={**self._parts, **parts},
        )

    def with_objects(
        self,
        objects: Mapping[str, Any],
        objectives: Mapping[str, Objective],
        constraints: Mapping[str, Mapping[str, float]],
        *,
        only: bool,
    ) -> Experiment:
        """Return a new experiment with objects in place of what settings describe.

        Settings name the class of each object; they cannot build it again.

        Args:
            objects: Parts by group.
            objectives: Objectives besides the error, by their measure's name.
            constraints: Limits of those objectives, by name.
            only: Whether objects alone are minimized where ``sec_obj`` was left at its default.

        Raises:
            UserError: If an object is not of the base class of its group.
        """
        parts = attributes_of(objects)
        nodes: dict[str, Any] = {group: {"_target_": _full_name(value)} for group, value in objects.items()}
        choices = {group: type(value).__name__ for group, value in objects.items()}
        named = {} if only else dict(self.resolved["sec_obj"])
        nodes["constraints"] = {**self.resolved["constraints"], **constraints}
        nodes["sec_obj"] = named | {name: {"_target_": _full_name(value)} for name, value in objectives.items()}
        return Experiment(
            {**self.resolved, **nodes},
            paths=self.paths,
            choices={**self.choices, **choices},
            group=self.group,
            allowed=self.allowed,
            origin=self.origin,
            parts={**self._parts, **parts, "own_objectives": dict(objectives)},
        )

    @property
    def given(self) -> Mapping[str, Any]:
        """Parts that were given as objects, by the attribute's name."""
        return self._parts

    def __reduce__(self) -> tuple[Any, ...]:
        """Send settings to another process, which builds the parts anew."""
        keys = ("paths", "choices", "group", "allowed", "origin")
        parts = {name: value for name, value in self._parts.items() if name != "tracker"}  # of the run's own process
        settings = {key: getattr(self, key) for key in keys} | {"parts": parts}
        return partial(Experiment, **settings), (self.resolved,)

    # What parts are told.

    @cached_property
    def device(self) -> str:
        """Torch device of the networks, for example ``"cpu"``; UserError if it does not exist."""
        return torch_device(self.settings.device)

    @cached_property
    def cache(self) -> Path:
        """Folder of trained supernets, downloaded files and decoded images."""
        return self.paths.cache

    @cached_property
    def folder(self) -> Path:
        """The run's folder."""
        return self.paths.run

    @cached_property
    def kept(self) -> Mapping[Path, str]:
        """Digests of the weights that the run began with, by file."""
        return RunFolder(self.folder).kept()

    @cached_property
    def run_seed(self) -> int:
        """The seed of the search."""
        return self.settings.seed

    @cached_property
    def shares(self) -> int:
        """Number of supernets that share the epochs of a training."""
        return 1

    @cached_property
    def named(self) -> Mapping[str, Any] | None:
        """Settings of the data set, for pools of runs whose images have moved."""
        node: Mapping[str, Any] | None = self.resolved.get("dataset")
        return node

    @property
    def experiment(self) -> Experiment:
        """Itself, for tasks."""
        return self

    def replica(self, device: str) -> tuple[Dataset, Supernet]:
        """Build data set and supernet anew for a device, in a process of its own."""
        there = self.changed(device=device)
        return there.dataset, there.supernet

    def evaluator_replica(self, device: str) -> Evaluator:
        """Build the evaluator anew for a device, with the weights that the supernet comes with.

        Numbers of threads are the process's: it should do nothing else.
        """
        import torch
        from threadpoolctl import threadpool_limits

        torch.set_num_threads(self.settings.threads)
        threadpool_limits(self.settings.threads)
        if device.startswith("cuda"):
            torch.cuda.set_device(device)
        found: Any = self.changed(device=device, pool=None).evaluator
        evaluator: Evaluator = found  # what knows arrays is never sent
        return evaluator

    # Parts, in the order in which they need each other.

    @cached_property
    def dataset(self) -> Dataset:
        """Images and labels."""
        found: Dataset = self.part("dataset")
        return found

    @cached_property
    def n_classes(self) -> int:
        """Outputs of the supernet's classifier."""
        return self.dataset.n_classes

    @cached_property
    def pool(self) -> Pool:
        """Trained networks whose stored outputs cascades are made of."""
        found: Pool = self.part("pool")
        return found

    @cached_property
    def supernet(self) -> Supernet:
        """The networks to choose from, with the weights that they come with."""
        found: Supernet = self.part("supernet")
        return found

    @cached_property
    def source(self) -> SpaceSource:
        """Source of the search space."""
        found: SpaceSource = self.part("space")
        return found

    @cached_property
    def tables(self) -> Mapping[str, CostTable]:
        """Exact costs of architectures, by name."""
        return self.source.costs()

    @cached_property
    def objectives(self) -> list[Objective]:
        """Objectives besides the error."""
        from nas.objective.cost import expected
        from nas.objective.latency import tabulated

        built = [
            self.own_objectives[name]
            if name in self.own_objectives
            else self.part("sec_obj", node, space=self.source.space)
            for name, node in self.resolved["sec_obj"].items()
        ]
        return [expected(tabulated(objective, self.tables)) for objective in built]

    @cached_property
    def own_objectives(self) -> Mapping[str, Objective]:
        """Objectives that were given as objects, by name."""
        return {}

    @cached_property
    def space(self) -> SearchSpace:
        """Search space: the source's, within the constraints."""
        from nas.objective.cost import bounds
        from nas.space.constrained import Constrained

        limits = bounds(self.settings.constraints, self.objectives, self.tables)
        whole = self.source.space
        return Constrained(whole, limits) if limits and self.pool.has_outputs else whole

    @cached_property
    def surrogate(self) -> Surrogate:
        """Surrogate of the objectives that have to be measured."""
        found: Surrogate = self.part("surrogate")
        return found

    @cached_property
    def optimizer(self) -> Optimizer:
        """Optimizer that searches for candidates on the surrogate."""
        found: Optimizer = self.part("optimizer")
        return found

    @cached_property
    def selector(self) -> Selector:
        """Selector of the candidates to evaluate."""
        found: Selector = self.part("selector")
        return found

    @cached_property
    def evaluator(self) -> Evaluator | ArrayEvaluator:
        """Evaluator of architectures, on the whole space."""
        found: Evaluator | ArrayEvaluator = self.part("evaluator", space=self.source.space)
        return found

    @cached_property
    def executor(self) -> Executor:
        """Executor of evaluations."""
        found: Executor = self.part("executor")
        return found

    @cached_property
    def training(self) -> Training:
        """Training of the supernet."""
        found: Training = self.part("training")
        return found

    @cached_property
    def algorithm(self) -> Algorithm:
        """Search algorithm."""
        found: Algorithm = self.part("algorithm")
        return found

    @cached_property
    def tracker(self) -> Tracker:
        """Tracker of the run."""
        found: Tracker = self.part("tracker")
        return found

    # Parts that a task needs beside these.

    def random_supernet(self, classes: int | None, resolution: int | None = None) -> tuple[Supernet, int]:
        """Return the supernet with random weights, for tasks about costs, and its number of classes.

        Args:
            classes: Outputs of the classifier; ``None`` for the 1,000 of a published supernet, or the data set's for
                one that is trained from scratch.
            resolution: The only side of the square input, in pixels; ``None`` for the supernet's own choices.

        Raises:
            UserError: If there are several supernets.
        """
        from nas.dataset.classes import IMAGENET_CLASSES
        from nas.supernet.checkpoint import RANDOM

        self.refuse_joint()
        node = dict(self._node("supernet"))
        given: dict[str, Any] = {}
        if "checkpoint" in node:
            node["checkpoint"] = RANDOM
            classes = IMAGENET_CLASSES if classes is None else classes
        if resolution is not None:
            given["resolutions"] = (resolution,)
            node.pop("resolutions", None)
        n_classes = self.n_classes if classes is None else classes
        return self.part("supernet", node, n_classes=n_classes, **given), n_classes

    def refuse_joint(self) -> None:
        """Raise UserError if the settings name several supernets."""
        if "members" in self._node("supernet"):
            raise UserError(f"task={self.choices['task']} takes one supernet, not several")

    # Building.

    def uses(self, name: str) -> bool:
        """Return whether the algorithm takes a part of this name."""
        return name in _arguments(self.kind("algorithm"))

    def kind(self, group: str, node: Mapping[str, Any] | None = None) -> type[Any]:
        """Return the class that a node names, or of the group's object; UserError if it may not be used."""
        given = self._parts.get(_ATTRIBUTES.get(group, group))
        if node is None and given is not None:
            return type(given)
        return class_of(self._node(group) if node is None else node, group, self.origin, self.allowed)

    def part(self, group: str, node: Mapping[str, Any] | None = None, **given: Any) -> Any:
        """Build a part, which is not kept.

        Args:
            group: Group of the part.
            node: Its settings; ``None`` for those of the group.
            given: Arguments of the constructor in place of the experiment's own.

        Returns:
            An object of a base class of the group.

        Raises:
            UserError: If the node is none, names anything else, or does not fit the constructor.
        """
        chosen = self._node(group) if node is None else node
        module, *names = BASES[group]
        kinds = tuple(getattr(import_module(module), name) for name in names)
        if not issubclass(self.kind(group, chosen), kinds):
            raise UserError(f"{self.origin}: {group}._target_={chosen['_target_']} is no {names[0]}")
        return self._built(group, chosen, given)

    def _node(self, group: str) -> Mapping[str, Any]:
        node = self.resolved.get(group)
        if not isinstance(node, Mapping):
            raise UserError(f"{self.origin} has no settings of a {group}")
        return node

    def _built(self, group: str, node: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
        target = self.kind(group, node)
        parameters = _arguments(target)
        arguments = {
            key: self._value(group, value, parameters[key].annotation if key in parameters else Any, given)
            for key, value in node.items()
            if key not in ("_target_", "_partial_")
        }
        for name in sorted(arguments.keys() - parameters.keys()):
            raise UserError(f"{self.origin}: {group}.{name} is unknown to this version; make the run anew")
        for name in [each for each in parameters if each not in arguments]:
            if name in given:
                arguments[name] = given[name]
            elif self._provides(name):
                arguments[name] = getattr(self, name)
        self._check_complete(group, node, parameters, arguments)
        try:
            return target(**arguments)
        except NasError:
            raise
        except Exception as error:
            if names_own(node):  # its code may raise anything
                name, reason = node["_target_"], " ".join(f"{type(error).__name__}: {error}".split())
                raise UserError(f"{self.origin} names {name} as {group}, which cannot be built ({reason})") from error
            if self.origin != COMMAND_LINE and isinstance(error, TypeError | ValueError | AttributeError):
                raise UserError(f"{self.origin}: the settings of the {group} are damaged ({error})") from error
            raise

    def _provides(self, name: str) -> bool:
        """Return whether a constructor that names an argument gets it from here."""
        if name in self._parts:
            return True
        if name not in PROVIDED or not (hasattr(type(self), name) or name in vars(self)):
            return False
        group = {"n_classes": "dataset", "source": "space", "tables": "space", "objectives": "sec_obj"}.get(name, name)
        return group not in GROUPS or group in self.resolved or group in self._parts

    def _value(self, group: str, value: Any, hint: Any, given: Mapping[str, Any]) -> Any:
        """Return a setting, with nodes in it, at any depth, replaced by what they describe.

        Where the constructor wants a callable it gets a function that builds the part, each time anew, and takes what
        is to be used in place of what the experiment has.
        """
        if isinstance(value, list):
            return [self._value(group, item, Any, given) for item in value]
        if not isinstance(value, Mapping):
            return value
        if "_target_" not in value:
            inner = get_args(hint)[-1] if get_args(hint) else Any
            return {key: self._value(group, item, inner, given) for key, item in value.items()}
        if get_origin(hint) is Callable:
            return lambda **more: self._built(group, value, {**given, **more})
        return self._built(group, value, given)

    def _check_complete(
        self,
        group: str,
        node: Mapping[str, Any],
        parameters: Mapping[str, inspect.Parameter],
        arguments: Mapping[str, Any],
    ) -> None:
        """Raise UserError if arguments are missing."""
        required = {name for name, parameter in parameters.items() if parameter.default is parameter.empty}
        absent = sorted(required - arguments.keys())
        if absent and names_own(node):
            raise UserError(
                f"{self.origin} names {node['_target_']} as {group}, which takes '{absent[0]}', but is given "
                f"{', '.join(sorted(arguments))}: give it a default"
            )
        if absent:
            raise UserError(
                f"{self.origin}: {group}.{absent[0]} is missing, which this version needs; make the run anew"
            )


def attributes_of(objects: Mapping[str, Any]) -> dict[str, Any]:
    """Return objects by the attribute of an experiment whose place they take.

    Args:
        objects: Parts by group.

    Raises:
        UserError: If there is no such group, or an object is not of its base class.
    """
    for group, value in objects.items():
        if group not in REPLACEABLE:
            raise unknown("part", group, REPLACEABLE)
        module, *names = BASES[group]
        if not isinstance(value, tuple(getattr(import_module(module), name) for name in names)):
            raise UserError(f"{group} is a {type(value).__name__}; it takes a nas.{names[0]}, a name or nas.part(...)")
    return {_ATTRIBUTES.get(group, group): value for group, value in objects.items()}


def _full_name(value: object) -> str:
    """Return the dotted name of an object's class."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _arguments(target: type[Any]) -> Mapping[str, inspect.Parameter]:
    """Return a constructor's arguments with their types, as far as they can be told."""
    try:
        return arguments(target, ranges=False)
    except Exception:  # of code from outside nas
        found = inspect.signature(target).parameters
        return {name: parameter.replace(annotation=Any) for name, parameter in found.items()}


def torch_device(name: str) -> str:
    """Return the device that ``device=`` names; UserError if it is not there."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UserError(f"device={name} is unknown; choices: auto, cpu, cuda, cuda:<n>")
    if name.startswith("cuda"):
        index = int(name.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            raise UserError(
                f"device={name} is not there: {torch.cuda.device_count()} CUDA devices found; use device=cpu"
            )
    return name
