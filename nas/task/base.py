"""Tasks: what one command does, from settings to results."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Gt, Le

from nas.pool.stored_parts import Allowed, allowed_by
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

OFFERED = frozenset(
    {
        "allowed",
        "cache",
        "dataset",
        "device",
        "evaluator",
        "evaluator_replica",
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
        "setup",
        "shares",
        "source",
        "space",
        "stream",
        "supernet",
        "surrogate",
        "tables",
    }
)
"""Arguments that a task supplies to the parts that name them; all others are settings."""


Threads = Annotated[int, Gt(0), Le(1024)]
Corner = Annotated[float, Gt(0), Le(1e12)]  # so that volumes of boxes are finite


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that belong to no group; see ``conf/config.yaml``."""

    seed: NonNegativeInt
    device: str
    threads: Threads
    constraints: dict[str, dict[Literal["min", "max"], NonNegativeFloat | None]]
    reference_point: tuple[Corner, ...] | None
    ideal_point: tuple[NonNegativeFloat, ...] | None
    store_outputs: bool
    retry_failed: bool
    detach: bool
    allow: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Where things are; see ``conf/paths/default.yaml``."""

    cache: Path
    outputs: Path
    networks: Path
    run: Path


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Everything a command line says.

    Attributes:
        settings, paths: plain values.
        parts: one for each group: a constructor that waits for its runtime arguments, or several by name
            (``sec_obj``).
        group: short name of the settings without the seed; runs that differ by the seed alone share it.
        choices: the word chosen for each group.
        resolved: all settings as plain values.
    """

    settings: Settings
    paths: Paths
    parts: Mapping[str, Any]
    group: str
    choices: Mapping[str, str]
    resolved: Mapping[str, Any]

    @property
    def allowed(self) -> Allowed:
        """Classes from outside ``nas`` that settings of folders may name."""
        return allowed_by(self.resolved)


class Task(ABC):
    """One command. It is made from a :class:`Setup`.

    Attributes:
        has_run_folder: whether results and status are in a folder of its own, so that a sweep can go on with it.
        needs_parts: whether it looks at the parts of a run; checks of their settings load them, which takes seconds.
    """

    has_run_folder: ClassVar[bool] = False
    needs_parts: ClassVar[bool] = True

    @abstractmethod
    def check(self) -> None:
        """Find everything that is wrong before any work starts, and write nothing.

        Raises:
            UserError: with one line that says what is wrong and what would be right.
        """

    @abstractmethod
    def run(self) -> str:
        """Do it, and return what to tell the user at the end."""
