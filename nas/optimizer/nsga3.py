"""NSGA-III on integer genomes, through pymoo."""

from typing import final

import numpy as np
from pymoo.algorithms.moo.nsga3 import NSGA3 as PymooNSGA3
from pymoo.operators.crossover.ux import UniformCrossover

from nas.errors import UserError
from nas.optimizer.base import Optimizer, Problem
from nas.optimizer.genetic import IntegerMutation, canonical_duplicates, run
from nas.pareto import reference_directions
from nas.types import Count, Floats, Genomes, PositiveFloat, PositiveInt, Probability


@final
class NSGA3(Optimizer):
    """NSGA-III (Deb and Jain 2014) with uniform crossover and integer polynomial mutation.

    This is the search for candidates in NAT (Lu et al. 2021) as ENCAS's code reproduces it. The directions lie on
    Das and Dennis's grid, which for two objectives is where the published code's Riesz energy has its minimum.
    """

    def __init__(
        self,
        *,
        population: Count = 100,
        generations: PositiveInt = 100,
        directions: PositiveInt = 100,
        crossover_probability: Probability = 0.9,
        mutation_probability: Probability = 0.1,
        mutation_eta: PositiveFloat = 1.0,
    ) -> None:
        """Set the operators.

        Args:
            population: Individuals that survive each generation.
            generations: Generations, the initial population counted as the first.
            directions: Reference directions; with three or more objectives the largest grid that is not larger.
            crossover_probability: Crossover probability of each pair of parents.
            mutation_probability: Mutation probability of each gene.
            mutation_eta: Distribution index of polynomial mutation; larger values stay closer to the parent.

        Raises:
            UserError: If there are fewer individuals than directions.
        """
        if population < directions:
            raise UserError(
                f"optimizer.population={population} is less than optimizer.directions={directions}; "
                f"each direction needs an individual: use optimizer.population={directions} or more"
            )
        self._population = population
        self._generations = generations
        self._directions = directions
        self._crossover_probability = crossover_probability
        self._mutation_probability = mutation_probability
        self._mutation_eta = mutation_eta

    def minimize(self, problem: Problem, initial: Genomes, rng: np.random.Generator) -> tuple[Genomes, Floats]:
        """Return the last population, (k, d), and its objectives, (k, m)."""
        algorithm = PymooNSGA3(
            ref_dirs=reference_directions(self._directions, problem.n_objectives),
            pop_size=self._population,
            sampling=initial,
            crossover=UniformCrossover(prob=self._crossover_probability),
            mutation=IntegerMutation(self._mutation_eta, self._mutation_probability),
            eliminate_duplicates=canonical_duplicates(problem.space),
        )
        return run(problem, algorithm, self._generations, rng)
