import numpy as np

from nas.optimizer.nsga2 import NSGA2
from nas.pareto import hypervolume
from tests.optimizer.problems import Conflict


def test_beats_random_sampling(space):
    """All that it evaluated against as many random genomes; its population alone is a front of 20 points."""
    optimizer = NSGA2(population=20, generations=20, crossover_probability=0.9, mutation_eta=1.0)
    reference = np.array([110.0, 45.0])
    wins = 0
    for seed in range(5):
        conflict = Conflict(space)
        rng = np.random.default_rng(seed)
        optimizer.minimize(conflict.problem, space.sample(5, rng), rng)
        sampled = space.sample(len(conflict.asked), rng)
        found = hypervolume(conflict.objectives(conflict.asked), reference)
        wins += found > hypervolume(conflict.objectives(sampled), reference)
    assert wins >= 4
