"""NSGA-II on integer genomes, through pymoo."""

from typing import final

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2 as PymooNSGA2
from pymoo.operators.crossover.pntx import TwoPointCrossover

from nas.optimizer.base import Optimizer, Problem
from nas.optimizer.genetic import IntegerMutation, canonical_duplicates, run
from nas.types import Count, Floats, Genomes, PositiveFloat, PositiveInt, Probability


@final
class NSGA2(Optimizer):
    """NSGA-II (Deb et al. 2002) with two-point crossover and integer polynomial mutation.

    NSGANetV2 searches for candidates with it (Alg. 1, line 10). The first population consists of the initial genomes
    only. Each gene mutates with probability 1/d. As in the published code, individuals keep genes that are not
    expressed.

    Example:
        >>> from nas.optimizer.nsga2 import NSGA2
        >>> from nas.space.integer import IntegerSpace
        >>> space = IntegerSpace([0, 0], [5, 5])
        >>> evaluate = lambda genomes: np.column_stack([genomes.sum(axis=1), 5.0 - genomes[:, 0]])
        >>> problem = Problem(space, evaluate, n_objectives=2, violation=lambda genomes, _: np.zeros(len(genomes)))
        >>> optimizer = NSGA2(population=20, generations=5)
        >>> genomes, objectives = optimizer.minimize(problem, space.smallest[None], np.random.default_rng(0))
        >>> genomes.shape[1], objectives.min(axis=0).tolist()
        (2, [0.0, 0.0])
    """

    def __init__(
        self,
        *,
        population: Count = 100,
        generations: PositiveInt = 50,
        crossover_probability: Probability = 0.9,
        mutation_eta: PositiveFloat = 1.0,
    ) -> None:
        """Set the operators.

        Args:
            population: Number of individuals that survive each generation.
            generations: Number of generations, including the initial population.
            crossover_probability: Crossover probability of each pair of parents, 0 to 1.
            mutation_eta: Distribution index of the polynomial mutation, above 0; genes mutated with larger values stay
                closer to the parent's.
        """
        self._population = population
        self._generations = generations
        self._crossover_probability = crossover_probability
        self._mutation_eta = mutation_eta

    def minimize(self, problem: Problem, initial: Genomes, rng: np.random.Generator) -> tuple[Genomes, Floats]:
        """Return the genomes of the last population, (k, d), and their objectives, (k, m)."""
        algorithm = PymooNSGA2(
            pop_size=self._population,
            sampling=initial,
            crossover=TwoPointCrossover(prob=self._crossover_probability),
            mutation=IntegerMutation(self._mutation_eta, 1.0 / problem.space.n_genes),
            eliminate_duplicates=canonical_duplicates(problem.space),
        )
        return run(problem, algorithm, self._generations, rng)
