import numpy as np

from nas.optimizer.random import RandomSampling
from nas.pareto import non_dominated
from tests.optimizer.problems import Conflict


def test_spends_exactly_its_budget_and_returns_the_front_of_all_of_it(space):
    conflict = Conflict(space)
    optimizer = RandomSampling(evaluations=333, population=100)
    genomes, objectives = optimizer.minimize(conflict.problem, space.smallest[None], np.random.default_rng(0))
    assert len(conflict.asked) == 333
    asked = conflict.objectives(conflict.asked)
    expected = non_dominated(asked)
    np.testing.assert_array_equal(genomes, conflict.asked[expected])
    np.testing.assert_array_equal(objectives, asked[expected])


def test_samples_every_choice_alike(space):
    conflict = Conflict(space)
    RandomSampling(evaluations=2000, population=500).minimize(
        conflict.problem, space.smallest[None], np.random.default_rng(0)
    )
    resolution = conflict.asked[:, space.resolution_gene]
    assert abs(resolution.mean() - 0.5) < 0.04
