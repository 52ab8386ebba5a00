from dataclasses import replace

import numpy as np
import pytest

from nas.improvement import ExpectedImprovement, reference_beyond
from nas.optimizer.ehvi import EHVISearch
from nas.pareto import non_dominated
from tests.optimizer.problems import Conflict, every_genome


def optimizer(niches=10):
    return EHVISearch(population=60, generations=25, niches=niches, survivors=4, margin=0.1)


def front_of(space, rng, n=60):
    genomes = np.concatenate([space.smallest[None], space.largest[None], space.sample(n, rng)])
    return genomes[non_dominated(Conflict(space).objectives(genomes))]


def improvement(conflict, initial):
    front = conflict.objectives(initial)
    return ExpectedImprovement(front, reference_beyond(front, 0.1))


@pytest.mark.parametrize("seed", range(3))
def test_finds_what_improves_most_of_all_genomes(seed, space):
    rng = np.random.default_rng(seed)
    conflict = Conflict(space)
    initial = front_of(space, rng)

    def deviation(genomes):
        return 2.0 + np.cos(genomes.sum(axis=1))

    found, objectives = optimizer().minimize(replace(conflict.problem, deviation=deviation), initial, rng)
    value = improvement(conflict, initial)
    everything = every_genome(space)
    best = value(conflict.objectives(everything), deviation(everything)).max()
    assert value(objectives, deviation(found)).max() == pytest.approx(best)


def test_uncertainty_draws_the_search(space):
    """All but those with the last gene raised are known; they are predicted to be no better."""
    rng = np.random.default_rng(0)
    initial = front_of(space, rng)

    def deviation(genomes):
        return np.where(genomes[:, -1] > 0, 20.0, 0.0)

    def share(problem):
        found, _ = optimizer().minimize(problem, initial, np.random.default_rng(1))
        return (found[:, -1] > 0).mean()

    problem = Conflict(space).problem
    assert share(replace(problem, deviation=deviation)) > share(problem) + 0.15


def test_models_without_deviations_are_taken_at_their_word(space):
    initial = front_of(space, np.random.default_rng(0))
    problem = Conflict(space).problem
    silent = replace(problem, deviation=lambda _: None)
    for mine, other in zip(
        *(optimizer().minimize(each, initial, np.random.default_rng(1)) for each in (problem, silent)), strict=True
    ):
        np.testing.assert_array_equal(mine, other)


def test_with_more_niches_more_survive(space):
    initial = front_of(space, np.random.default_rng(0))
    counts = []
    for niches in (1, 10):
        conflict = Conflict(space)
        problem = replace(conflict.problem, deviation=lambda genomes: np.full(len(genomes), 5.0))
        searched = optimizer(niches)
        _, objectives = searched.minimize(problem, initial, np.random.default_rng(1))
        counts.append(len(objectives))
    assert counts[1] > counts[0]
