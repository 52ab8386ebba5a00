import numpy as np
import pytest
from pymoo.algorithms.moo.nsga3 import ReferenceDirectionSurvival
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.util.ref_dirs import get_reference_directions

from nas.pareto import reference_directions
from nas.selector.reference import Reference


@pytest.mark.parametrize(("m", "parts", "n"), [(2, 99, 100), (2, 4, 5), (3, 12, 91), (3, 12, 104), (4, 5, 56)])
def test_directions_are_das_and_dennis(m, parts, n):
    ours = reference_directions(n, m)
    theirs = get_reference_directions("das-dennis", m, n_partitions=parts)
    np.testing.assert_allclose(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)], atol=1e-12)


def test_fewer_directions_than_objectives_make_one():
    np.testing.assert_allclose(reference_directions(2, 3), [[1 / 3, 1 / 3, 1 / 3]])


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("n", [6, 15, 40])
@pytest.mark.parametrize("seed", range(5))
def test_whole_fronts_and_niche_sizes_are_those_of_nsga3(m, n, seed):
    """Which of equally empty directions come first is random; how many individuals each has in the end is not."""
    rng = np.random.default_rng(seed)
    candidates = rng.random((80, m)) ** 2 * 1e5  # pymoo takes differences below 1e-3 for none
    chosen = Reference(directions=15).select(candidates, candidates, n, rng)
    population = Population.new("F", candidates)
    survival = ReferenceDirectionSurvival(reference_directions(15, m))
    survivors = survival.do(Problem(n_var=1, n_obj=m), population, n_survive=n, random_state=np.random.default_rng(0))
    theirs = np.array([int(np.flatnonzero((candidates == row).all(axis=1))[0]) for row in survivors.get("F")])
    ranks = np.empty(80, dtype=int)
    niches = np.empty(80, dtype=int)
    survival.do(Problem(n_var=1, n_obj=m), population, n_survive=80, random_state=np.random.default_rng(0))
    for i, individual in enumerate(population):
        ranks[i], niches[i] = individual.get("rank"), individual.get("niche")
    assert sorted(ranks[chosen]) == sorted(ranks[theirs])
    counts = [np.sort(np.bincount(niches[rows], minlength=20)).tolist() for rows in (chosen, theirs)]
    assert counts[0] == counts[1]


def test_fills_every_direction_of_an_even_front():
    angle = np.linspace(0, np.pi / 2, 200)
    candidates = np.column_stack([1 - np.cos(angle), 1 - np.sin(angle)])
    chosen = Reference(directions=10).select(candidates, candidates[::50], 10, np.random.default_rng(0))
    assert np.diff(angle[chosen]).max() < 0.4
    assert chosen[0] == 0
    assert chosen[-1] == 199


def test_better_fronts_come_first():
    rng = np.random.default_rng(0)
    line = np.linspace(0, 1, 20)
    first, second = np.column_stack([line, 1 - line]), np.column_stack([line, 1.5 - line])
    chosen = Reference(directions=10).select(np.concatenate([second, first]), first, 25, rng)
    assert set(range(20, 40)) < set(chosen)
