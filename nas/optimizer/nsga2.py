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

    This is the search for candidates in NSGANetV2 (Alg. 1, line 10): the population starts from the initial
    genomes alone, and each gene mutates with probability 1/d. As in the published code, individuals keep genes
    that are not expressed.
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
            population: Individuals that survive each generation.
            generations: Generations, the initial population counted as the first.
            crossover_probability: Crossover probability of each pair of parents.
            mutation_eta: Distribution index of polynomial mutation; larger values stay closer to the parent.
        """
        self._population = population
        self._generations = generations
        self._crossover_probability = crossover_probability
        self._mutation_eta = mutation_eta

    def minimize(self, problem: Problem, initial: Genomes, rng: np.random.Generator) -> tuple[Genomes, Floats]:
        """Return the last population, (k, d), and its objectives, (k, m)."""
        algorithm = PymooNSGA2(
            pop_size=self._population,
            sampling=initial,
            crossover=TwoPointCrossover(prob=self._crossover_probability),
            mutation=IntegerMutation(self._mutation_eta, 1.0 / problem.space.n_genes),
            eliminate_duplicates=canonical_duplicates(problem.space),
        )
        return run(problem, algorithm, self._generations, rng)
