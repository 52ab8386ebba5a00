"""MO-GOMEA: multi-objective gene-pool optimal mixing with interleaved populations of growing sizes."""

from typing import final

import numpy as np

from nas.optimizer.base import Optimizer, Problem
from nas.optimizer.dominance import compare, least_violated_front
from nas.optimizer.elitist_archive import ElitistArchive
from nas.optimizer.evaluations import Evaluations, Ids
from nas.optimizer.linkage import LinkageTrees
from nas.optimizer.mixing import Mixing, Population
from nas.types import Count, Floats, Genomes, PositiveInt

_REPEATS = (
    20  # limit on looked-up genomes, known ones included, as a multiple of the budget; ends the search in small spaces
)


@final
class MOGOMEA(Optimizer):
    """Multi-objective Gene-pool Optimal Mixing Evolutionary Algorithm.

    Luong, La Poutré, Bosman: *Multi-objective Gene-pool Optimal Mixing Evolutionary Algorithms*, GECCO 2014. As in
    ENCAS (Chebykin et al. 2022), genes may have any number of values, and there is no population size to tune.
    Populations of n, 2n, 4n, ... individuals take turns. Each population runs one generation for every two generations
    of the next smaller one. A population stops when the front of a larger one covers its front.

    Differences from ENCAS's program: all individuals of a population take each mixing step together, so that whole
    arrays are evaluated at once. Linkage is normalized mutual information. Repeated evaluations of a genome count once.
    The elitist archive keeps the first of several genomes with equal objectives.

    Example:
        >>> from nas.optimizer.mo_gomea import MOGOMEA
        >>> from nas.space.integer import IntegerSpace
        >>> space = IntegerSpace([0, 0], [5, 5])
        >>> evaluate = lambda genomes: np.column_stack([genomes.sum(axis=1), 5.0 - genomes[:, 0]])
        >>> problem = Problem(space, evaluate, n_objectives=2, violation=lambda genomes, _: np.zeros(len(genomes)))
        >>> optimizer = MOGOMEA(evaluations=50, population=8)
        >>> genomes, objectives = optimizer.minimize(problem, space.smallest[None], np.random.default_rng(0))
        >>> genomes.shape[1], objectives.min(axis=0).tolist()
        (2, [0.0, 0.0])
    """

    def __init__(
        self, *, evaluations: PositiveInt, population: Count = 32, archive_capacity: PositiveInt = 10000
    ) -> None:
        """Set the budget.

        Args:
            evaluations: Number of different genomes to evaluate, including the initial ones. Fewer are evaluated if the
                search finds no new genomes.
            population: Number of individuals of the first population, which is the smallest.
            archive_capacity: Maximum number of members of the elitist archive, which is the result of the search.
        """
        self._budget = evaluations
        self._population = population
        self._capacity = archive_capacity

    def minimize(self, problem: Problem, initial: Genomes, rng: np.random.Generator) -> tuple[Genomes, Floats]:
        """Return the elitist archive: non-dominated genomes, (k, d), and their objectives, (k, m), all different.

        All initial genomes are evaluated, even if the budget is smaller. The first populations start from them.
        """
        evaluations = Evaluations(problem, max(self._budget, len(initial)))
        archive = ElitistArchive(self._capacity, problem.n_objectives)
        trees = LinkageTrees(problem.space.lower, problem.space.upper)
        mixing = Mixing(evaluations, archive, trees, rng)
        mixing.evaluate(initial)
        turns = _Turns(
            problem=problem,
            evaluations=evaluations,
            archive=archive,
            mixing=mixing,
            initial=rng.permutation(initial),
            rng=rng,
        )
        turns.run(self._population, _REPEATS * evaluations.budget)
        archive.thin_out()
        return evaluations.genomes(archive.ids), archive.objectives


class _Turns:
    """Interleaved populations, which run their generations in turn."""

    def __init__(
        self,
        *,
        problem: Problem,
        evaluations: Evaluations,
        archive: ElitistArchive,
        mixing: Mixing,
        initial: Genomes,
        rng: np.random.Generator,
    ) -> None:
        self._problem = problem
        self._evaluations = evaluations
        self._archive = archive
        self._mixing = mixing
        self._initial = initial
        self._rng = rng
        self._populations: list[Population] = []
        self._generations: list[int] = []
        self._fronts: dict[int, Ids] = {}  # fronts of the populations that still run, by their index

    def run(self, smallest: int, looks: int) -> None:
        """Run the populations until the budget is spent or ``looks`` genomes were looked up, including known ones.

        Args:
            smallest: Number of individuals of the first population.
            looks: Maximum number of looked-up genomes.
        """
        sets = 2 * self._problem.space.n_genes
        while not self._evaluations.spent and looks > 0:
            turn, again = 0, True
            while again and not self._evaluations.spent and looks > 0:
                if turn == len(self._populations):
                    self._add(smallest << turn)
                elif turn in self._fronts:
                    self._mixing.generation(self._populations[turn], self._problem.n_objectives + 1 + turn)
                    self._archive.thin_out()
                if turn in self._fronts:
                    looks -= sets * len(self._populations[turn].ids)
                    self._give_up_covered(turn)
                looks -= 1
                self._generations[turn] += 1
                again = self._generations[turn] % 2 == 0
                turn += 1

    def _add(self, size: int) -> None:
        """Add a population: the remaining initial genomes, filled up with random genomes to ``size`` individuals."""
        genomes, self._initial = self._initial[:size], self._initial[size:]
        drawn = self._problem.space.sample(size - len(genomes), self._rng)
        genomes = np.concatenate([genomes, drawn])
        ids, _ = self._mixing.evaluate(genomes)
        known = ids >= 0  # all of them, except in the population that spends the budget
        self._populations.append(Population(genomes[known], ids[known]))
        self._generations.append(0)
        self._fronts[len(self._populations) - 1] = ids[:0]

    def _give_up_covered(self, turn: int) -> None:
        """Stop the smaller populations whose fronts are covered by the front of population ``turn``."""
        ids = self._populations[turn].ids
        objectives, violations = self._evaluations.objectives, self._evaluations.violations
        front = ids[least_violated_front(objectives[ids], violations[ids])]
        self._fronts[turn] = front
        if turn == 0:
            return
        points = np.unique(objectives[front], axis=0)
        for smaller in [i for i in self._fronts if i < turn]:
            other = self._fronts[smaller]
            dominated, equal = compare(objectives[other], points)
            covered = violations[front[0]] == violations[other[0]] and bool((dominated | equal).all())
            if covered or violations[front[0]] < violations[other[0]]:
                del self._fronts[smaller]
