"""Random search: the baseline of every other optimizer."""

from typing import final

import numpy as np

from nas.optimizer.base import Optimizer, Problem
from nas.optimizer.dominance import least_violated_front
from nas.optimizer.evaluations import Evaluations
from nas.types import Count, Floats, Genomes, PositiveInt

_FRUITLESS = 100  # calls without anything new, until a space counts as used up


@final
class RandomSampling(Optimizer):
    """Evaluates uniform samples of the space, and returns those that no other dominates."""

    def __init__(self, *, evaluations: PositiveInt = 10000, population: Count = 1000) -> None:
        """Set the budget.

        Args:
            evaluations: Different genomes evaluated, the initial ones among them; fewer where a space is used up.
            population: Number of genomes that are drawn at a time.
        """
        self._budget = evaluations
        self._population = population

    def minimize(self, problem: Problem, initial: Genomes, rng: np.random.Generator) -> tuple[Genomes, Floats]:
        """Return the non-dominated of all that was evaluated, genomes (k, d) and objectives (k, m).

        The initial genomes are all evaluated, however small the budget.
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
