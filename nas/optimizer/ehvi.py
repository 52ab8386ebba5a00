"""Genetic algorithm that maximizes the expected hypervolume improvement."""

from typing import final

import numpy as np

from nas.improvement import ExpectedImprovement, reference_beyond
from nas.optimizer.base import Optimizer, Problem
from nas.optimizer.dominance import least_violated_front
from nas.optimizer.evaluations import Evaluations, Ids
from nas.space.base import SearchSpace
from nas.types import Count, Floats, Genomes, NonNegativeFloat, PositiveInt

_MATES = 10
"""Maximum distance of two mates in the order of the costs."""
_EXCHANGED = (0.0, 0.25, 0.5)
"""Expected shares of genes from the mate; each child uses a random one of them."""
_MUTATED = (1, 2, 4)
"""Expected numbers of randomly drawn genes; each child uses a random one of them."""


@final
class EHVISearch(Optimizer):
    """Genetic algorithm that maximizes the expected hypervolume improvement over the front of the initial genomes.

    The fitness of a genome is its expected hypervolume improvement (Emmerich et al. 2011). It grows with the
    surrogate's uncertainty (``Problem.deviation``). Children exchange genes with a parent of similar cost, and mutate.
    Survivors are the best genomes of each niche, an interval of the second objective. Niches keep genomes of all costs
    in the population.

    Example:
        >>> from nas.optimizer.ehvi import EHVISearch
        >>> from nas.space.integer import IntegerSpace
        >>> space = IntegerSpace([0, 0], [5, 5])
        >>> evaluate = lambda genomes: np.column_stack([genomes.sum(axis=1), 5.0 - genomes[:, 0]])
        >>> problem = Problem(space, evaluate, n_objectives=2, violation=lambda genomes, _: np.zeros(len(genomes)))
        >>> optimizer = EHVISearch(population=20, generations=5, niches=5)
        >>> genomes, objectives = optimizer.minimize(problem, space.smallest[None], np.random.default_rng(0))
        >>> genomes.shape[1], objectives.min(axis=0).tolist()
        (2, [0.0, 0.0])
    """

    def __init__(
        self,
        *,
        population: Count = 200,
        generations: PositiveInt = 50,
        niches: PositiveInt = 40,
        survivors: PositiveInt = 8,
        margin: NonNegativeFloat = 0.1,
    ) -> None:
        """Set the sizes of the population and the reference point.

        Args:
            population: Number of children in each generation.
            generations: Number of generations, including the first one of initial and random genomes.
            niches: Number of niches, intervals of the second objective. They have equal ratios if it is always
                positive, else equal lengths.
            survivors: Maximum number of survivors in each niche.
            margin: Distance of the reference point beyond the worst values of the front, as a share of their range, 0
                or more.
        """
        self._population = population
        self._generations = generations
        self._niches = niches
        self._survivors = survivors
        self._margin = margin

    def minimize(self, problem: Problem, initial: Genomes, rng: np.random.Generator) -> tuple[Genomes, Floats]:
        """Return the last survivors and all non-dominated genomes, (k, d), and their objectives, (k, m)."""
        evaluations = Evaluations(problem, np.iinfo(np.int64).max)
        first = np.unique(evaluations(initial))
        filling = problem.space.sample(max(self._population - len(first), 0), rng)
        alive = np.unique(np.concatenate([first, evaluations(filling)]))
        front = evaluations.objectives[_allowed_front(evaluations, first)]
        known = evaluations.objectives[_allowed_front(evaluations, alive)]
        improvement = ExpectedImprovement(front, reference_beyond(known, self._margin))
        worth = _worth(problem, evaluations, improvement, 0)
        for _ in range(self._generations - 1):
            parents = alive[_order(evaluations.objectives[alive])]
            before = evaluations.n
            children = _children(evaluations.genomes(parents), problem.space, self._population, rng)
            evaluations(children)
            worth = np.concatenate([worth, _worth(problem, evaluations, improvement, before)])
            alive = self._best(np.concatenate([alive, np.arange(before, evaluations.n)]), evaluations, worth)
        everything = evaluations.objectives[: evaluations.n], evaluations.violations[: evaluations.n]
        least = everything[1].min()
        kept = np.union1d(alive[everything[1][alive] == least], least_violated_front(*everything))
        return evaluations.genomes(kept), evaluations.objectives[kept]

    def _best(self, ids: Ids, evaluations: Evaluations, worth: Floats) -> Ids:
        """Return the best genomes of each niche, among those with the least constraint violation."""
        violations = evaluations.violations[ids]
        ids = ids[violations == violations.min()]
        objectives = evaluations.objectives[ids]
        costs = objectives[:, min(1, objectives.shape[1] - 1)]
        if costs.min() > 0:
            costs = np.log(costs)
        place = (costs - costs.min()) / max(np.ptp(costs), 1e-12) * self._niches
        niche = np.minimum(place.astype(np.int64), self._niches - 1)
        order = np.lexsort((ids, -worth[ids], niche))
        starts = np.searchsorted(niche[order], niche[order])
        return np.sort(ids[order[np.arange(len(ids)) - starts < self._survivors]])


def _allowed_front(evaluations: Evaluations, ids: Ids) -> Ids:
    return ids[least_violated_front(evaluations.objectives[ids], evaluations.violations[ids])]


def _worth(problem: Problem, evaluations: Evaluations, improvement: ExpectedImprovement, start: int) -> Floats:
    """Return the expected improvement of genomes from id ``start`` on; negative for genomes that are not allowed."""
    ids = np.arange(start, evaluations.n)
    if len(ids) == 0:
        return np.zeros(0)
    deviations = None if problem.deviation is None else problem.deviation(evaluations.genomes(ids))
    known = np.zeros(len(ids)) if deviations is None else deviations
    violations = evaluations.violations[ids]
    return np.where(violations > 0, -violations, improvement(evaluations.objectives[ids], known))


def _order(objectives: Floats) -> Ids:
    return np.argsort(objectives[:, -1] if objectives.shape[1] < 2 else objectives[:, 1], kind="stable")


def _children(parents: Genomes, space: SearchSpace, n: int, rng: np.random.Generator) -> Genomes:
    """Return ``n`` children, canonical or not, of parents, (p, d), that are sorted by cost."""
    places = rng.integers(len(parents), size=n)
    mates = np.clip(places + rng.integers(-_MATES, _MATES + 1, size=n), 0, len(parents) - 1)
    shape = (n, space.n_genes)
    exchanged = rng.random(shape) < rng.choice(_EXCHANGED, size=(n, 1))
    mutated = rng.random(shape) < rng.choice(_MUTATED, size=(n, 1)) / space.n_genes
    drawn = rng.integers(space.lower, space.upper, size=shape, endpoint=True)
    children: Genomes = np.where(mutated, drawn, np.where(exchanged, parents[mates], parents[places]))
    return children
