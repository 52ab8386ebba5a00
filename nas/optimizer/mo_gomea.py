"""MO-GOMEA: multi-objective gene-pool optimal mixing, with populations of all sizes interleaved."""

from typing import final

import numpy as np

from nas.optimizer.base import Optimizer, Problem
from nas.optimizer.dominance import compare, least_violated_front
from nas.optimizer.elitist_archive import ElitistArchive
from nas.optimizer.evaluations import Evaluations, Ids
from nas.optimizer.linkage import LinkageTrees
from nas.optimizer.mixing import Mixing, Population
from nas.types import Count, Floats, Genomes, PositiveInt

_REPEATS = 20  # genomes looked at for each one of the budget, until a space counts as used up


@final
class MOGOMEA(Optimizer):
    """Multi-objective Gene-pool Optimal Mixing Evolutionary Algorithm.

    Luong, La Poutré, Bosman: *Multi-objective Gene-pool Optimal Mixing Evolutionary Algorithms*, GECCO 2014, for
    genes of any alphabets as in ENCAS (Chebykin et al. 2022), without a population size to choose: populations of
    n, 2n, 4n, ... individuals take turns, each runs one generation for every two of the one before it, and one is
    given up when a later one's front covers its own.

    Different from ENCAS's program: a population's offspring grow step by step together, so that evaluations come
    as arrays; linkage is normalized mutual information; evaluations of a genome are counted once; and the elitist
    archive keeps the first of several genomes with equal objectives.
    """

    def __init__(
        self, *, evaluations: PositiveInt, population: Count = 32, archive_capacity: PositiveInt = 10000
    ) -> None:
        """Set the budget.

        Args:
            evaluations: Different genomes evaluated, the initial ones among them; fewer where a space is used up.
            population: Individuals of the first and smallest population.
            archive_capacity: Maximum number of members of the elitist archive, which is the result.
        """
        self._budget = evaluations
        self._population = population
        self._capacity = archive_capacity

    def minimize(self, problem: Problem, initial: Genomes, rng: np.random.Generator) -> tuple[Genomes, Floats]:
        """Return the elitist archive: non-dominated genomes, (k, d), different in objectives, (k, m).

        The initial genomes are all evaluated, however small the budget; the first populations start from them.
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
    """The interleaved populations."""

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
        self._fronts: dict[int, Ids] = {}  # of the populations that go on

    def run(self, smallest: int, looks: int) -> None:
        """Give turns until the budget is spent or ``looks`` genomes were looked at, known ones too."""
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
        """Add a population of what is left of the initial genomes, and random ones."""
        genomes, self._initial = self._initial[:size], self._initial[size:]
        drawn = self._problem.space.sample(size - len(genomes), self._rng)
        genomes = np.concatenate([genomes, drawn])
        ids, _ = self._mixing.evaluate(genomes)
        known = ids >= 0  # all of them, but for the one that spends the budget
        self._populations.append(Population(genomes[known], ids[known]))
        self._generations.append(0)
        self._fronts[len(self._populations) - 1] = ids[:0]

    def _give_up_covered(self, turn: int) -> None:
        """Stop the smaller populations whose fronts the population's front covers."""
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
