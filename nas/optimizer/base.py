"""Multi-objective optimizers of cheap functions on integer genomes."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nas.space.base import SearchSpace
from nas.types import Floats, Genomes


@dataclass(frozen=True)
class Problem:
    """A cheap multi-objective problem on a search space.

    Attributes:
        space: Bounds and the canonical form of genomes.
        evaluate: Objectives of canonical genomes, (n, d) -> (n, m), all minimized; called with whole
            populations, and never twice with one genome.
        n_objectives: M.
        violation: Function that maps genomes, (n, d), and objectives, (n, m), to constraint violations, (n,), 0 for
            allowed ones. Allowed genomes dominate others, and less violation dominates more.
        deviation: Standard deviations of the first objective of canonical genomes, (n, d) -> (n,), where it is
            predicted; gives ``None`` where the model has none. ``None`` for exact problems.
    """

    space: SearchSpace
    evaluate: Callable[[Genomes], Floats]
    n_objectives: int
    violation: Callable[[Genomes, Floats], Floats]
    deviation: Callable[[Genomes], Floats | None] | None = None


class Optimizer(ABC):
    """Approximates the Pareto front of a problem."""

    @abstractmethod
    def minimize(self, problem: Problem, initial: Genomes, rng: np.random.Generator) -> tuple[Genomes, Floats]:
        """Return the best that was found: different canonical genomes, (k, d), and their objectives, (k, m).

        All of them are allowed, as long as one of ``initial`` is.

        Args:
            problem: Problem to minimize.
            initial: Canonical genomes to start from, shape (n, d), n at least 1.
            rng: The only source of randomness.
        """
