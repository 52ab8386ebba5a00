"""Random sampling, the baseline for the other optimizers."""

from typing import final

import numpy as np

from nas.optimizer.base import Optimizer, Problem
from nas.optimizer.dominance import least_violated_front
from nas.optimizer.evaluations import Evaluations
from nas.types import Count, Floats, Genomes, PositiveInt

_FRUITLESS = 100  # batches of samples without a new genome after which the search ends


@final
class RandomSampling(Optimizer):
    """Random sampling: evaluates uniform samples of the space and returns the non-dominated ones.

    Example:
        >>> from nas.optimizer.random import RandomSampling
        >>> from nas.space.integer import IntegerSpace
        >>> space = IntegerSpace([0, 0], [5, 5])
        >>> evaluate = lambda genomes: np.column_stack([genomes.sum(axis=1), 5.0 - genomes[:, 0]])
        >>> problem = Problem(space, evaluate, n_objectives=2, violation=lambda genomes, _: np.zeros(len(genomes)))
        >>> optimizer = RandomSampling(evaluations=50)
        >>> genomes, objectives = optimizer.minimize(problem, space.smallest[None], np.random.default_rng(0))
        >>> genomes.shape[1], objectives.min(axis=0).tolist()
        (2, [0.0, 0.0])
    """

    def __init__(self, *, evaluations: PositiveInt = 10000, population: Count = 1000) -> None:
        """Set the budget.

        Args:
            evaluations: Number of different genomes to evaluate, including the initial ones. Fewer are evaluated if
                sampling finds no new genomes.
            population: Number of genomes that are drawn and evaluated together.
        """
        self._budget = evaluations
        self._population = population

    def minimize(self, problem: Problem, initial: Genomes, rng: np.random.Generator) -> tuple[Genomes, Floats]:
        """Return the non-dominated genomes of all evaluations, (k, d), and their objectives, (k, m).

        All initial genomes are evaluated, even if the budget is smaller.
        """
        evaluations = Evaluations(problem, max(self._budget, len(initial)))
        evaluations(initial)
        fruitless = 0
        while not evaluations.spent and fruitless < _FRUITLESS:
            before = evaluations.n
            evaluations(problem.space.sample(self._population, rng))
            fruitless = 0 if evaluations.n > before else fruitless + 1
        n = evaluations.n
        front = least_violated_front(evaluations.objectives[:n], evaluations.violations[:n])
        return evaluations.genomes(front), evaluations.objectives[front]
