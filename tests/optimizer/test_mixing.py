import numpy as np
import pytest

from nas.optimizer.base import Problem
from nas.optimizer.elitist_archive import ElitistArchive
from nas.optimizer.evaluations import Evaluations
from nas.optimizer.linkage import LinkageTrees
from nas.optimizer.mixing import Mixing, Population
from tests.optimizer.problems import Plain


def setup(limit=np.inf, n=40):
    """A population of random genomes; all objectives differ, so that nothing is accepted for being equal."""
    space = Plain([0, 3, -5, 0, 0, 10], [1, 9, 60, 2, 0, 13])

    def evaluate(genomes):
        genes = (genomes - space.lower).astype(float)
        return np.column_stack([np.cos(genes @ [3.1, 0.7, 0.13, 1.9, 1, 0.9]), genes @ [1.3, 1, 0.11, 1.7, 1, 0.57]])

    problem = Problem(space, evaluate, 2, lambda _, objectives: np.maximum(0, objectives[:, 1] - limit))
    rng = np.random.default_rng(0)
    evaluations, archive = Evaluations(problem, 10_000), ElitistArchive(1000, 2)
    mixing = Mixing(evaluations, archive, LinkageTrees(space.lower, space.upper), rng)
    genomes = space.sample(n, rng)
    return mixing, evaluations, archive, Population(genomes, mixing.evaluate(genomes)[0])


@pytest.mark.parametrize("limit", [np.inf, 6.0])
def test_offspring_is_never_dominated_by_its_parent(limit):
    mixing, evaluations, _, population = setup(limit)
    changed = 0
    for _ in range(6):
        before = population.ids
        mixing.generation(population, 4)
        old, new = evaluations.objectives[before], evaluations.objectives[population.ids]
        was, now = (evaluations.violations[ids] for ids in (before, population.ids))
        assert (now <= was).all()
        same = now == was
        assert not ((old <= new).all(axis=1) & (old < new).any(axis=1) & same).any()
        changed += (before != population.ids).sum()
        np.testing.assert_array_equal(evaluations.genomes(population.ids), population.genomes)
    assert changed > 40


def test_genes_come_from_the_population_and_the_archive_alone():
    mixing, evaluations, _, population = setup()
    pool = [set(column) for column in population.genomes.T]
    for _ in range(6):
        mixing.generation(population, 4)
    everything = evaluations.genomes(np.arange(evaluations.n))
    assert [set(column) for column in everything.T] == pool


def test_archive_is_told_of_everything_and_stagnation_counts_generations_without_growth():
    mixing, evaluations, archive, population = setup(n=8)
    counted = 0
    for _ in range(30):
        before = set(archive.ids)
        mixing.generation(population, 3)
        counted = 0 if set(archive.ids) - before else counted + 1
        assert population.stagnation == counted
    assert counted > 3
    objectives = evaluations.objectives[: evaluations.n]
    assert not archive.dominates(archive.objectives, np.zeros(len(archive.ids))).any()
    reached = archive.dominates(objectives, np.zeros(len(objectives)))
    assert set(np.flatnonzero(~reached)) == set(archive.ids)


def test_individuals_that_cannot_improve_become_members_of_the_archive():
    mixing, _, archive, population = setup(n=8)
    for _ in range(30):
        mixing.generation(population, 3)
    assert set(population.ids) <= set(archive.ids)
