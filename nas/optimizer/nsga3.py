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

    NAT (Lu et al. 2021) searches for candidates with it, as reproduced in ENCAS's code. The reference directions form
    the grid of Das and Dennis. For two objectives this grid minimizes the Riesz energy, as the published code does.

    Example:
        >>> from nas.optimizer.nsga3 import NSGA3
        >>> from nas.space.integer import IntegerSpace
        >>> space = IntegerSpace([0, 0], [5, 5])
        >>> evaluate = lambda genomes: np.column_stack([genomes.sum(axis=1), 5.0 - genomes[:, 0]])
        >>> problem = Problem(space, evaluate, n_objectives=2, violation=lambda genomes, _: np.zeros(len(genomes)))
        >>> optimizer = NSGA3(population=20, generations=5, directions=10)
        >>> genomes, objectives = optimizer.minimize(problem, space.smallest[None], np.random.default_rng(0))
        >>> genomes.shape[1], objectives.min(axis=0).tolist()
        (2, [0.0, 0.0])
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
            population: Number of individuals that survive each generation, at least ``directions``.
            generations: Number of generations, including the initial population.
            directions: Number of reference directions. With three or more objectives it is an upper limit: the largest
                grid with at most this number is used.
            crossover_probability: Crossover probability of each pair of parents, 0 to 1.
            mutation_probability: Mutation probability of each gene, 0 to 1.
            mutation_eta: Distribution index of the polynomial mutation, above 0; genes mutated with larger values stay
                closer to the parent's.

        Raises:
            UserError: If ``population`` is less than ``directions``.
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
        """Return the genomes of the last population, (k, d), and their objectives, (k, m)."""
        algorithm = PymooNSGA3(
            ref_dirs=reference_directions(self._directions, problem.n_objectives),
            pop_size=self._population,
            sampling=initial,
            crossover=UniformCrossover(prob=self._crossover_probability),
            mutation=IntegerMutation(self._mutation_eta, self._mutation_probability),
            eliminate_duplicates=canonical_duplicates(problem.space),
        )
        return run(problem, algorithm, self._generations, rng)
