"""The values that every part exchanges: architectures, batches and evaluations.

Shapes throughout the project: ``n`` candidates, ``d`` genes, ``m`` objectives. Every objective is minimized.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Le

LARGEST = 2**63 - 1
"""Largest integer that a setting may be, seeds among them: arrays hold no larger ones."""

# Constrained numbers: the settings check reads them from the signatures of the parts.
PositiveInt = Annotated[int, Gt(0), Le(LARGEST)]
NonNegativeInt = Annotated[int, Ge(0), Le(LARGEST)]
Count = Annotated[int, Gt(0), Le(10**6)]  # of genomes that are in memory at once
PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
Seconds = Annotated[float, Gt(0), Le(1e9)]  # the system's clock takes no more than that tenfold
Probability = Annotated[float, Ge(0), Le(1)]

Progress = Callable[[str, int, int], None]
"""Told what is going on, how much of it is done, and how much there is."""

Genomes = npt.NDArray[np.int64]
"""Integer genomes, shape (n, d), or one of them, shape (d,)."""

Floats = npt.NDArray[np.float64]

MILLION = 1e6
"""What multiply-adds and parameters are given in."""

WORDS = {"top1_error": "top-1 error", "flops": "FLOPs", "latency_table": "latency from table"}
"""Quantities whose names on the command line are no words."""

SHORT_UNITS = {"M multiply-adds": "M"}
"""Units as figures and tables have them: FLOPs are multiply-adds everywhere."""


@dataclass(frozen=True)
class Measure:
    """A quantity's name and unit.

    Figures, tables and pages take their words from here: ``FLOPs (M)`` for ``flops`` in ``M multiply-adds``.

    Example:
        >>> Measure("flops", "M multiply-adds").label
        'FLOPs (M)'
    """

    name: str
    unit: str

    @property
    def words(self) -> str:
        """The name in words."""
        return WORDS.get(self.name, self.name.replace("_", " "))

    @property
    def short_unit(self) -> str:
        """The unit of a label; empty where there is none."""
        return SHORT_UNITS.get(self.unit, self.unit)

    @property
    def label(self) -> str:
        """The label of an axis or a column: the name in words, and the unit in brackets."""
        return f"{self.words} ({self.short_unit})" if self.short_unit else self.words


@dataclass(frozen=True)
class Architecture:
    """An architecture: its genome, and the same choices in words.

    Attributes:
        genome: The canonical genes; genes that are not expressed hold their lower bound, so that two
            architectures are equal exactly when their genomes are.
        config: The same choices as the original tools write them to a ``.subnet`` file, for example
            ``{"ks": [3, 5], "e": [2, 4], "d": [1, 1], "r": 8, "w": 1.0}``.

    Example:
        >>> Architecture((0, 2), {"d": [1], "r": 32}) == Architecture((0, 2), {})
        True
    """

    genome: tuple[int, ...]
    config: Mapping[str, Any] = field(compare=False)


@dataclass(frozen=True)
class Evaluation:
    """Result of one evaluation.

    Attributes:
        metrics: Measured values by name: ``top1`` and ``top5`` accuracy in percent, ``loss`` in nats,
            ``flops`` in millions of multiply-adds, ``params`` in millions. Empty when it failed.
        error: The traceback of a failed evaluation, ``None`` for a good one. A failure has no numbers.

    Example:
        >>> Evaluation({"top1": 91.5}).ok, Evaluation({}, error="out of memory").ok
        (True, False)
    """

    metrics: Mapping[str, float]
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether there are numbers to use."""
        return self.error is None


@dataclass(frozen=True)
class Batch:
    """The candidates that an algorithm asks to evaluate in one step.

    Attributes:
        genomes: Canonical genomes, shape (n, d), all different; evaluated before only where the weights have moved.
        predicted: The surrogate's prediction of the first objective, shape (n,), in its unit; ``None``
            where candidates were not chosen by a surrogate.
        surrogate: Name of the surrogate that predicted, for example ``"rbf"``.
        winner: The model that an adaptive surrogate chose; equals ``surrogate`` for all others.
        fitted: Its predictions of what was known, shape (k,): what it was fitted to.
        known: The measured values of the same, shape (k,).
        parts: Predictions of what else evaluations measure, by the metric's name, shape (n,) each.
        seconds: Seconds of the parts of choosing the candidates, by activity, for example ``"fit"``.

    Example:
        >>> Batch(np.array([[0, 1], [2, 0]])).predicted is None
        True
    """

    genomes: Genomes
    predicted: Floats | None = None
    surrogate: str | None = None
    winner: str | None = None
    fitted: Floats | None = None
    known: Floats | None = None
    parts: Mapping[str, Floats] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)
