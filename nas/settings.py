"""Settings: their groups, the settings outside of groups, and the arguments of constructors."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Unpack, get_args, get_origin, get_type_hints

from annotated_types import Gt, Le

from nas.types import NonNegativeFloat, NonNegativeInt

GROUPS = frozenset(
    {
        "algorithm",
        "dataset",
        "evaluator",
        "executor",
        "finetuning",
        "optimizer",
        "paths",
        "pool",
        "sec_obj",
        "selector",
        "space",
        "supernet",
        "surrogate",
        "task",
        "tracker",
        "training",
    }
)
"""Groups of settings. Only ``sec_obj`` takes several choices; ``finetuning`` exists only with its task."""

PROVIDED = frozenset(
    {
        "allowed",
        "cache",
        "dataset",
        "device",
        "evaluator",
        "evaluator_replica",
        "experiment",
        "folder",
        "kept",
        "launcher",
        "n_classes",
        "named",
        "objectives",
        "optimizer",
        "planned",
        "pool",
        "replica",
        "run_seed",
        "selector",
        "shares",
        "source",
        "space",
        "stream",
        "supernet",
        "surrogate",
        "tables",
    }
)
"""Names of constructor arguments that an experiment provides; all other arguments are settings."""

Corner = Annotated[float, Gt(0), Le(1e12)]  # finite limit, so that hypervolumes are finite
Threads = Annotated[int, Gt(0), Le(1024)]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings that belong to no group; see ``conf/config.yaml``.

    Attributes:
        seed: Seed of the run, 0 or more.
        device: Torch device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:<n>"``.
        threads: Number of torch threads on the CPU, 1 to 1024.
        constraints: Bounds of exact costs, ``"min"`` and ``"max"`` by the name of the cost; ``None`` for no bound.
        reference_point: Reference point of the hypervolume, one value for each objective; ``None`` for the default.
        ideal_point: Ideal point of the hypervolume, one value for each objective; ``None`` for the default.
        store_outputs: Whether the outputs of the front's networks are stored in the cache at the end of the run.
        retry_failed: Whether failed architectures are evaluated again.
        detach: Whether the command returns as soon as the runs of a sweep are started or queued.
        allow: Packages whose classes the settings in a folder may name.
    """

    seed: NonNegativeInt = 0
    device: str = "auto"
    threads: Threads = 1
    constraints: dict[str, dict[Literal["min", "max"], NonNegativeFloat | None]] = field(default_factory=dict)
    reference_point: tuple[Corner, ...] | None = None
    ideal_point: tuple[NonNegativeFloat, ...] | None = None
    store_outputs: bool = False
    retry_failed: bool = False
    detach: bool = False
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Paths of a run; see ``conf/paths/default.yaml``.

    Attributes:
        cache: Folder of trained supernets and decoded images, shared by all runs.
        outputs: Folder that contains the run folders.
        networks: Folder with the runs whose networks cascades are made of.
        run: Run folder of this run.
    """

    cache: Path
    outputs: Path
    networks: Path
    run: Path


def arguments(target: Callable[..., Any], *, ranges: bool) -> dict[str, inspect.Parameter]:
    """Return the keyword arguments of a constructor with their types, by name.

    Classes of a family may share options in a ``TypedDict``. Each key of ``**options: Unpack[Options]`` counts as an
    argument.

    Args:
        target: Class, or function that makes a part.
        ranges: Whether the types keep their ranges, for example ``Annotated[int, Gt(0)]``.

    Example:
        >>> from nas.optimizer.random import RandomSampling
        >>> list(arguments(RandomSampling, ranges=False))
        ['evaluations', 'population']
    """
    hints = get_type_hints(target.__init__, include_extras=ranges)
    found: dict[str, inspect.Parameter] = {}
    for name, parameter in inspect.signature(target).parameters.items():
        hint = hints.get(name, Any)
        if parameter.kind is parameter.VAR_KEYWORD and get_origin(hint) is Unpack:
            options = get_args(hint)[0]
            only, absent = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.empty
            for key, kind in get_type_hints(options, include_extras=ranges).items():
                default = ... if key in options.__optional_keys__ else absent  # its reader has the default
                found[key] = inspect.Parameter(key, only, default=default, annotation=kind)
        else:
            found[name] = parameter.replace(annotation=hint)
    return found
