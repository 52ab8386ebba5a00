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
        space: bounds and the canonical form of genomes.
        evaluate: objectives of canonical genomes, (n, d) -> (n, m), all minimised; called with whole
            populations, and never twice with one genome.
        n_objectives: m.
        violation: how far genomes, (n, d), with these objectives, (n, m), are from the allowed ones, (n,); 0 where
            they are allowed. What is allowed dominates what is not, and less violation dominates more.
        deviation: standard deviations of the first objective of canonical genomes, (n, d) -> (n,), where it is
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
            problem: what to minimise.
            initial: canonical genomes to start from, shape (n, d), n at least 1.
            rng: the only source of randomness.
        """
