"""Multi-objective optimizers of cheap functions on integer genomes."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nas.space.base import SearchSpace
from nas.types import Floats, Genomes


@dataclass(frozen=True)
class Problem:
    """Cheap multi-objective problem on a search space.

    Attributes:
        space: Bounds and the canonical form of genomes.
        evaluate: Objectives of canonical genomes, (n, d) -> (n, m), all minimized; called with whole
            populations, and never twice with one genome.
        n_objectives: Number of objectives, m.
        violation: Function that maps genomes, (n, d), and objectives, (n, m), to constraint violations, (n,), 0 for
            allowed ones. Allowed genomes dominate others, and less violation dominates more.
        deviation: Standard deviations of the first objective of canonical genomes, (n, d) -> (n,), where it is
            predicted; gives ``None`` where the model has none. ``None`` for exact problems.

    Example:
        >>> from nas.space.integer import IntegerSpace
        >>> space = IntegerSpace([0, 0], [9, 9])
        >>> values = lambda genomes: np.column_stack([genomes[:, 0], 9.0 - genomes[:, 1]])
        >>> problem = Problem(space, values, n_objectives=2, violation=lambda genomes, _: np.zeros(len(genomes)))
        >>> problem.evaluate(np.array([[3, 4]]))
        array([[3., 5.]])
    """

    space: SearchSpace
    evaluate: Callable[[Genomes], Floats]
    n_objectives: int
    violation: Callable[[Genomes, Floats], Floats]
    deviation: Callable[[Genomes], Floats | None] | None = None


class Optimizer(ABC):
    """Base class for optimizers, which approximate the Pareto front of a problem.

    Example:
        >>> class Sampling(Optimizer):
        ...     def minimize(self, problem, initial, rng):
        ...         genomes = np.unique(np.concatenate([initial, problem.space.sample(20, rng)]), axis=0)
        ...         return genomes, problem.evaluate(genomes)
    """

    @abstractmethod
    def minimize(self, problem: Problem, initial: Genomes, rng: np.random.Generator) -> tuple[Genomes, Floats]:
        """Return the best that was found: different canonical genomes, (k, d), and their objectives, (k, m).

        All of them are allowed, as long as one of ``initial`` is.

        Args:
            problem: Problem to minimize.
            initial: Canonical genomes to start from, shape (n, d), n at least 1.
            rng: The only source of randomness.
        """
