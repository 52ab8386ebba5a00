"""Base class for multi-objective optimizers, which search integer genomes with cheap objective functions."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nas.space.base import SearchSpace
from nas.types import Floats, Genomes


@dataclass(frozen=True)
class Problem:
    """Multi-objective problem on a search space whose objectives are cheap to compute.

    Attributes:
        space: Search space with the bounds and the canonical form of the genomes.
        evaluate: Function that maps canonical genomes, (n, d), to objectives, (n, m), all minimized. Optimizers call it
            with whole populations, and at most once for each genome.
        n_objectives: Number of objectives, m.
        violation: Function that maps genomes, (n, d), and objectives, (n, m), to constraint violations, (n,). The
            violation of an allowed genome is 0. A genome with a smaller violation dominates one with a larger one.
        deviation: Function that maps canonical genomes, (n, d), to standard deviations of the predicted first
            objective, (n,), or to ``None`` if the surrogate has no uncertainty. ``None`` for problems with exact
            objectives.

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
    """Base class for optimizers, which approximate the Pareto front of a :class:`Problem`.

    Example:
        >>> class Sampling(Optimizer):
        ...     def minimize(self, problem, initial, rng):
        ...         genomes = np.unique(np.concatenate([initial, problem.space.sample(20, rng)]), axis=0)
        ...         return genomes, problem.evaluate(genomes)
        >>> from nas.space.integer import IntegerSpace
        >>> space = IntegerSpace([0, 0], [9, 9])
        >>> problem = Problem(space, lambda genomes: genomes * 1.0, 2, lambda genomes, _: np.zeros(len(genomes)))
        >>> genomes, objectives = Sampling().minimize(problem, space.smallest[None], np.random.default_rng(0))
        >>> objectives[0]
        array([0., 0.])
    """

    @abstractmethod
    def minimize(self, problem: Problem, initial: Genomes, rng: np.random.Generator) -> tuple[Genomes, Floats]:
        """Return the best genomes that were found, (k, d), canonical and all different, and their objectives, (k, m).

        All returned genomes are allowed if at least one of ``initial`` is allowed.

        Args:
            problem: Problem to minimize.
            initial: Canonical genomes that the search starts from, shape (n, d), n at least 1.
            rng: Random generator, the only source of randomness.
        """
