"""Gene-pool optimal mixing of whole populations."""

from dataclasses import dataclass
from typing import final

import numpy as np

from nas.optimizer.clusters import Clusters, cluster
from nas.optimizer.dominance import Bools, in_all
from nas.optimizer.elitist_archive import ElitistArchive
from nas.optimizer.evaluations import Evaluations, Ids
from nas.optimizer.linkage import LinkageTrees
from nas.types import Genomes


@dataclass
class Population:
    """Population of n individuals.

    Attributes:
        genomes: Genomes, shape (n, d). Genes that are not expressed keep their values.
        ids: Ids of the evaluations, shape (n,).
        stagnation: Number of generations since the elitist archive last grew.
    """

    genomes: Genomes
    ids: Ids
    stagnation: int = 0


@final
class Mixing:
    """Generations of MO-GOMEA (Luong et al. 2014, Alg. 2 and 3).

    Each individual processes the sets of its cluster's linkage tree in its own random order. Individuals do not see
    each other's offspring. Therefore all individuals take each step together: one call evaluates all genomes that the
    step changed. The elitist archive is updated with all of them before any of them is accepted or rejected.
    """

    def __init__(
        self, evaluations: Evaluations, archive: ElitistArchive, trees: LinkageTrees, rng: np.random.Generator
    ) -> None:
        """Set the parts, which all populations share.

        Args:
            evaluations: Record of all evaluations.
            archive: Elitist archive.
            trees: Learner of linkage trees.
            rng: Random generator, the only source of randomness.
        """
        self._evaluations = evaluations
        self._archive = archive
        self._trees = trees
        self._rng = rng
        self._grown = False

    def evaluate(self, genomes: Genomes) -> tuple[Ids, Ids]:
        """Return the ids of genomes, (n, d) -> (n,), and the ids that the elitist archive accepted, (k,).

        The id of a genome is -1 if the budget was spent before its evaluation.
        """
        start = self._evaluations.n
        ids = self._evaluations(genomes)
        new = np.arange(start, self._evaluations.n)
        if len(new) == 0:
            return ids, new
        taken = self._archive.offer(new, self._evaluations.objectives[new], self._evaluations.violations[new])
        self._grown |= len(taken) > 0
        return ids, taken

    def generation(self, population: Population, n_clusters: int) -> None:
        """Replace a population by its offspring.

        Args:
            population: Population, changed in place.
            n_clusters: Number of clusters in objective space.
        """
        n = len(population.ids)
        self._grown = False
        clusters = cluster(self._evaluations.objectives[population.ids], n_clusters, self._rng)
        trees = np.concatenate([self._trees.learn(population.genomes[rows], self._rng) for rows in clusters.members])
        child = Population(population.genomes.copy(), population.ids.copy(), population.stagnation)
        changed = self._mix(population, child, clusters, trees)
        stuck = ~changed | (population.stagnation > 1 + int(np.log10(n)))
        if stuck.any() and not self._evaluations.spent:
            self._force(child, np.flatnonzero(stuck), clusters, trees)
        population.genomes, population.ids = child.genomes, child.ids
        population.stagnation = 0 if self._grown else population.stagnation + 1

    def _mix(self, parents: Population, child: Population, clusters: Clusters, trees: Bools) -> Bools:
        """Mix each individual with members of its cluster; return a mask of the changed individuals, shape (n,)."""
        n, n_sets = len(child.ids), self._trees.n_sets
        rows = np.arange(n)
        sets = self._sets(clusters.of)
        picks = self._rng.integers(clusters.members.shape[1], size=(n_sets, n))
        donors = clusters.members[clusters.of, picks]
        changed = np.zeros(n, dtype=bool)
        goals = clusters.extreme[clusters.of]
        for step in range(n_sets):
            genes = parents.genomes.take(donors[step], axis=0)
            masks = trees.take(sets[step], axis=0)
            changed[self._attempt(child, rows, genes, masks, goals, forced=False)] = True
            if self._evaluations.spent:
                break
        return changed

    def _force(self, child: Population, rows: Ids, clusters: Clusters, trees: Bools) -> None:
        """Forced improvement: mix individuals with members of the elitist archive until they improve.

        Individuals that do not improve are replaced by a member of the archive.
        """
        goals = clusters.extreme[clusters.of]
        best = self._best()
        sets = self._sets(clusters.of[rows])
        waiting = np.arange(len(rows))
        for step in range(self._trees.n_sets):
            at = rows[waiting]
            donors = self._evaluations.genomes(self._elite(goals[at], best))
            masks = trees.take(sets[step, waiting], axis=0)
            improved = self._attempt(child, at, donors, masks, goals, forced=True)
            if len(improved):
                waiting = waiting[~np.isin(at, improved)]
            if len(waiting) == 0 or self._evaluations.spent:
                return
        at = rows[waiting]
        child.ids[at] = self._elite(goals[at], self._best())
        child.genomes[at] = self._evaluations.genomes(child.ids[at])

    def _sets(self, of: Ids) -> Ids:
        """Return the indices of tree sets, shape (n_sets, n), for individuals of the clusters ``of``, shape (n,).

        Each column is in its own random order.
        """
        n_sets = self._trees.n_sets
        orders: Ids = self._rng.permuted(np.tile(np.arange(n_sets)[:, None], (1, len(of))), axis=0)
        return orders + of * n_sets

    def _best(self) -> Ids:
        """Return the id of the archive member that is best in each objective, shape (m,)."""
        best: Ids = self._archive.ids[np.argmin(self._archive.objectives, axis=0)]
        return best

    def _elite(self, goals: Ids, best: Ids) -> Ids:
        """Return a donor's id for each goal, (n,): a random archive member, or the best one in a single objective."""
        members = self._archive.ids[self._rng.integers(len(self._archive.ids), size=len(goals))]
        return np.where(goals < 0, members, best[goals])

    def _attempt(self, child: Population, rows: Ids, donors: Genomes, masks: Bools, goals: Ids, *, forced: bool) -> Ids:
        """Copy the masked genes of the donors into rows of ``child``, and keep the acceptable results.

        Args:
            child: Population of offspring, changed in place.
            rows: Indices of the individuals that take part, shape (r,).
            donors: Genomes that genes are copied from, shape (r, d).
            masks: Masks of the copied genes, shape (r, d).
            goals: Index of the objective that each individual of ``child`` improves, shape (n,); -1 for all objectives.
            forced: Whether only improvements are acceptable.

        Returns:
            Indices of the individuals that accepted the copied genes, shape (k,).
        """
        before = child.genomes.take(rows, axis=0)
        trial = np.where(masks, donors, before)
        differs = (trial != before).any(axis=1)
        rows, trial = rows[differs], trial.compress(differs, axis=0)
        if len(rows) == 0:
            return rows
        ids, taken = self.evaluate(trial)
        if self._evaluations.spent:
            rows, trial, ids = rows[ids >= 0], trial[ids >= 0], ids[ids >= 0]
        accepted = self._acceptable(ids, child.ids[rows], goals[rows], taken, forced)
        rows = rows[accepted]
        child.genomes[rows] = trial.compress(accepted, axis=0)
        child.ids[rows] = ids[accepted]
        return rows

    def _acceptable(self, ids: Ids, before: Ids, goals: Ids, taken: Ids, forced: bool) -> Bools:
        """Return a mask, shape (n,), of the new evaluations ``ids`` that may replace the evaluations ``before``."""
        violations = self._evaluations.violations
        new, old = (self._evaluations.objectives.take(i, axis=0) for i in (ids, before))
        change = violations[ids] - violations[before]
        not_worse = in_all(new <= old)
        if forced:
            better = not_worse & ~in_all(new >= old)
            if len(taken):
                better |= np.isin(ids, taken)
        else:
            better = not_worse | ~self._archive.dominates(new, violations[ids])
        single = np.flatnonzero(goals >= 0)
        if len(single):
            goal = goals[single]
            gain = old[single, goal] - new[single, goal]
            better[single] = gain > 0 if forced else gain >= 0
        result: Bools = (change < 0) | ((change == 0) & better)
        return result
