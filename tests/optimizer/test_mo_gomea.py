import numpy as np
import pytest

from nas.optimizer.mo_gomea import MOGOMEA
from nas.optimizer.nsga2 import NSGA2
from nas.pareto import non_dominated
from tests.optimizer.problems import Conflict, Plain, traps


def optimum(objectives):
    """How many of the nine points of the true front there are: eight blocks, all ones or all zeros, 9 each."""
    return int((-objectives.sum(axis=1) == 8 * 9).sum())


@pytest.mark.parametrize("seed", range(4))
def test_finds_the_front_of_scattered_traps(seed):
    problem = traps(np.random.default_rng(seed).permutation(40))
    initial = problem.space.sample(1, np.random.default_rng(seed))
    ours = MOGOMEA(evaluations=10_000, population=32, archive_capacity=100)
    assert optimum(ours.minimize(problem, initial, np.random.default_rng(seed))[1]) >= 8


def test_nsga2_does_not_find_it():
    problem = traps(np.random.default_rng(0).permutation(40))
    initial = problem.space.sample(1, np.random.default_rng(0))
    other = NSGA2(population=50, generations=200, crossover_probability=0.9, mutation_eta=1.0)
    _, objectives = other.minimize(problem, initial, np.random.default_rng(0))
    assert optimum(np.unique(objectives, axis=0)) <= 3


@pytest.mark.parametrize("m", [2, 3])
def test_returns_the_front_of_all_it_evaluated(m, space):
    conflict = Conflict(space, m)
    optimizer = MOGOMEA(evaluations=500, population=8, archive_capacity=500)
    _, objectives = optimizer.minimize(conflict.problem, space.smallest[None], np.random.default_rng(0))
    asked = conflict.objectives(conflict.asked)
    assert len(asked) == 500
    np.testing.assert_array_equal(np.unique(objectives, axis=0), np.unique(asked[non_dominated(asked)], axis=0))


def test_archive_never_exceeds_its_capacity():
    space = Plain([0] * 5, [200] * 5)
    conflict = Conflict(space)
    optimizer = MOGOMEA(evaluations=4000, population=16, archive_capacity=30)
    _, objectives = optimizer.minimize(conflict.problem, space.smallest[None], np.random.default_rng(0))
    assert 10 <= len(objectives) <= 30
    assert len(non_dominated(objectives)) == len(objectives)
    asked = conflict.objectives(conflict.asked)
    assert (np.ptp(objectives, axis=0) > 0.8 * np.ptp(asked[non_dominated(asked)], axis=0)).all()


def test_all_initial_genomes_are_evaluated_however_small_the_budget(space):
    conflict = Conflict(space)
    initial = space.sample_unseen(40, space.smallest[None], np.random.default_rng(0))
    MOGOMEA(evaluations=5, population=8, archive_capacity=50).minimize(
        conflict.problem, initial, np.random.default_rng(0)
    )
    np.testing.assert_array_equal(conflict.asked, initial)
