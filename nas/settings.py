"""Settings: groups of parts, values that belong to no group, and what constructors are given beside settings."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

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
    """Where things are; see ``conf/paths/default.yaml``."""

    cache: Path
    outputs: Path
    networks: Path
    run: Path
