"""Settings: groups of parts, values that belong to no group, and what constructors are given beside settings."""

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
"""The groups of settings; ``sec_obj`` alone takes several choices at once, ``finetuning`` comes with its task alone."""

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
"""Arguments of constructors that an experiment provides; all others are settings."""

Corner = Annotated[float, Gt(0), Le(1e12)]  # so that volumes of boxes are finite
Threads = Annotated[int, Gt(0), Le(1024)]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that belong to no group; see ``conf/config.yaml``."""

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
    """Folders of cache, outputs, networks and run; see ``conf/paths/default.yaml``."""

    cache: Path
    outputs: Path
    networks: Path
    run: Path


def arguments(target: Callable[..., Any], *, ranges: bool) -> dict[str, inspect.Parameter]:
    """Return the keyword arguments of a constructor with their types, those of a family's shared options among them.

    Options that several classes share stand in a ``TypedDict``: ``**options: Unpack[Options]`` counts as an argument
    for each of its keys.

    Args:
        target: The class, or a function that makes a part.
        ranges: Whether types keep their ranges, ``Annotated[int, Gt(0)]``.
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
