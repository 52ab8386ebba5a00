"""Data types that all packages share: architectures, evaluations, batches of candidates and constrained numbers.

Letters in shapes, in the whole project: ``n`` candidates, ``d`` genes, ``m`` objectives. Every objective is minimized.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Le

LARGEST = 2**63 - 1
"""Largest allowed integer of a setting, seeds included. Larger integers do not fit into int64 arrays."""

# Numbers with a range. The check of the settings reads the ranges from the signatures of the constructors.
PositiveInt = Annotated[int, Gt(0), Le(LARGEST)]
NonNegativeInt = Annotated[int, Ge(0), Le(LARGEST)]
Count = Annotated[int, Gt(0), Le(10**6)]  # number of genomes that are in memory at the same time
PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
Seconds = Annotated[float, Gt(0), Le(1e9)]  # the system clock accepts at most ten times as much
Probability = Annotated[float, Ge(0), Le(1)]

Progress = Callable[[str, int, int], None]
"""Callback for progress. Its arguments are the name of the activity, the number of finished items and their total."""

Genomes = npt.NDArray[np.int64]
"""Integer genomes, shape (n, d), or a single genome, shape (d,)."""

Floats = npt.NDArray[np.float64]
"""Array of float64 values; the shape is given where it is used."""

MILLION = 1e6
"""Unit of multiply-adds and parameters in metrics and objectives."""

WORDS = {"top1_error": "top-1 error", "flops": "FLOPs", "latency_table": "latency from table"}
"""Display names of quantities, by their name on the command line. Other names have spaces for underscores."""

SHORT_UNITS = {"M multiply-adds": "M"}
"""Short forms of units for figures and tables. FLOPs always count multiply-adds."""


@dataclass(frozen=True)
class Measure:
    """Name and unit of a measured quantity.

    Figures, tables and result pages take their labels from here: ``FLOPs (M)`` for ``flops`` in ``M multiply-adds``.

    Attributes:
        name: Name of the quantity, a key of the metrics, for example ``"flops"``.
        unit: Unit of the values, for example ``"M multiply-adds"``; empty for quantities without a unit.

    Example:
        >>> Measure("flops", "M multiply-adds").label
        'FLOPs (M)'
    """

    name: str
    unit: str

    @property
    def words(self) -> str:
        """Display name of the quantity, for example ``"top-1 error"``."""
        return WORDS.get(self.name, self.name.replace("_", " "))

    @property
    def short_unit(self) -> str:
        """Short unit for labels, for example ``"M"``; empty for quantities without a unit."""
        return SHORT_UNITS.get(self.unit, self.unit)

    @property
    def label(self) -> str:
        """Label of an axis or a column: the display name with the unit in parentheses."""
        return f"{self.words} ({self.short_unit})" if self.short_unit else self.words


@dataclass(frozen=True)
class Architecture:
    """A network architecture, as a genome and as a readable configuration.

    Attributes:
        genome: Canonical genes, length d. Genes that are not expressed have their lower bound as value, so that two
            architectures are equal exactly if their genomes are equal.
        config: Configuration in the format of the original tools' ``.subnet`` files, for example
            ``{"ks": [3, 5], "e": [2, 4], "d": [1, 1], "r": 8, "w": 1.0}``. Comparisons ignore it.

    Example:
        >>> Architecture((0, 2), {"d": [1], "r": 32}) == Architecture((0, 2), {})
        True
    """

    genome: tuple[int, ...]
    config: Mapping[str, Any] = field(compare=False)


@dataclass(frozen=True)
class Evaluation:
    """Result of the evaluation of one architecture.

    Attributes:
        metrics: Measured values by name: ``top1`` and ``top5`` accuracy in percent, ``loss`` in nats,
            ``flops`` in millions of multiply-adds, ``params`` in millions. Empty if the evaluation failed.
        error: Traceback of a failed evaluation; ``None`` if the evaluation succeeded.

    Example:
        >>> Evaluation({"top1": 91.5}).ok, Evaluation({}, error="out of memory").ok
        (True, False)
    """

    metrics: Mapping[str, float]
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the evaluation succeeded."""
        return self.error is None


@dataclass(frozen=True)
class Batch:
    """Candidates that an algorithm proposes for evaluation in one step, with the surrogate's predictions.

    Attributes:
        genomes: Canonical genomes, shape (n, d), all different. Architectures of earlier steps are among them only if
            the supernet's weights have changed since.
        predicted: Predictions of the first objective by the surrogate, shape (n,), in the objective's unit; ``None`` if
            no surrogate chose the candidates.
        surrogate: Name of the surrogate, for example ``"rbf"``; ``None`` without a surrogate.
        winner: Name of the model that an adaptive surrogate chose. It equals ``surrogate`` for all other surrogates.
        fitted: Predictions of the first objective for k architectures that were evaluated before, shape (k,).
        known: Measured values of the first objective for the same architectures, shape (k,).
        parts: Predictions of further metrics, shape (n,) each, by the name of the metric.
        seconds: Durations of the activities that chose the candidates, in seconds, by activity, for example ``"fit"``.

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
