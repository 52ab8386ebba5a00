import numpy as np
import pytest

from nas.optimizer.base import Problem
from nas.optimizer.nsga2 import NSGA2
from nas.pareto import hypervolume


@pytest.fixture
def problem(space):
    """Two sums with different weights in conflict: the front is known to need many different genomes."""
    asked = []
    weights = np.linspace(1, 2, space.n_genes)

    def evaluate(genomes):
        asked.extend(map(tuple, genomes.tolist()))
        total = genomes @ weights
        return np.column_stack([100 - 10 * np.sqrt(total), total])

    return Problem(space, evaluate, 2), asked


def optimizer(generations=20):
    return NSGA2(population=20, generations=generations, crossover_probability=0.9, mutation_eta=1.0)


def test_population_is_canonical_different_and_truly_evaluated(problem, space):
    problem, _ = problem
    genomes, values = optimizer().minimize(problem, space.smallest[None], np.random.default_rng(0))
    assert len(np.unique(genomes, axis=0)) == len(genomes) == 20
    np.testing.assert_array_equal(space.canonical(genomes), genomes)
    space.validate(genomes)
    np.testing.assert_array_equal(problem.evaluate(genomes), values)


def test_never_evaluates_a_genome_twice(problem, space):
    problem, asked = problem
    optimizer().minimize(problem, space.sample(10, np.random.default_rng(1)), np.random.default_rng(0))
    assert len(asked) == len(set(asked))


def test_same_generator_same_result_and_it_is_the_only_randomness(problem, space):
    problem, _ = problem
    initial = space.sample(5, np.random.default_rng(1))
    results = [optimizer().minimize(problem, initial, np.random.default_rng(7))[0] for _ in range(2)]
    np.testing.assert_array_equal(*results)
    other = optimizer().minimize(problem, initial, np.random.default_rng(8))[0]
    assert not np.array_equal(results[0], other)


def test_beats_random_sampling(problem, space):
    """All that it evaluated against as many random genomes; its population alone is a front of 20 points."""
    problem, asked = problem
    reference = np.array([101.0, 50.0])
    wins = 0
    for seed in range(5):
        asked.clear()
        rng = np.random.default_rng(seed)
        optimizer().minimize(problem, space.sample(5, rng), rng)
        found = problem.evaluate(np.array(asked))
        sampled = problem.evaluate(space.sample(len(found), rng))
        wins += hypervolume(found, reference) > hypervolume(sampled, reference)
    assert wins >= 4
