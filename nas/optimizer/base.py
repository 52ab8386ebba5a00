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
    """

    space: SearchSpace
    evaluate: Callable[[Genomes], Floats]
    n_objectives: int


class Optimizer(ABC):
    """Approximates the Pareto front of a problem."""

    @abstractmethod
    def minimize(self, problem: Problem, initial: Genomes, rng: np.random.Generator) -> tuple[Genomes, Floats]:
        """Return the final population: different canonical genomes, (k, d), and their objectives, (k, m).

        Args:
            problem: what to minimise.
            initial: canonical genomes to start from, shape (n, d), n at least 1.
            rng: the only source of randomness.
        """
