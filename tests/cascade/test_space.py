import numpy as np
import pytest

from nas.cascade.space import CascadeSpace
from nas.errors import UserError
from tests.cascades import by_definition, made_up

NAMES = [f"net{i}" for i in range(7)]


def space(goal="cascade", size=4):
    return CascadeSpace(names=NAMES, costs=np.array([5.0, 3, 9, 4, 4, 4, 4]), size=size, goal=goal)


@pytest.mark.parametrize("goal", ["cascade", "ensemble"])
@pytest.mark.parametrize("size", [1, 4])
def test_round_trip(goal, size):
    whole = space(goal, size)
    genomes = whole.sample(200, np.random.default_rng(0))
    np.testing.assert_array_equal(whole.canonical(genomes), genomes)
    for genome in genomes:
        architecture = whole.decode(genome)
        assert architecture.genome == tuple(genome.tolist())
        np.testing.assert_array_equal(whole.encode(architecture.config), genome)


def test_genomes_of_one_cascade_become_one():
    whole = space()
    same = [
        [3, 5, 6, 0, 25, 35, 0],
        [0, 3, 5, 6, 5, 25, 35],
        [3, 0, 5, 6, 5, 25, 35],
        [3, 5, 0, 6, 25, 5, 35],
        [3, 5, 6, 0, 25, 35, 50],
        [3, 5, 6, 2, 25, 35, 0],  # nothing gets past a threshold of 0
    ]
    assert len(np.unique(whole.canonical(np.array(same)), axis=0)) == 1
    assert whole.decode(np.array(same[1])).config == {"networks": ["net2", "net4", "net5"], "thresholds": [0.5, 0.7]}


def test_canonical_genomes_do_what_they_stand_for():
    probabilities, labels, costs = made_up(n=100)
    whole = space()
    rng = np.random.default_rng(0)
    genomes = rng.integers(whole.lower, whole.upper, size=(80, whole.n_genes), endpoint=True)
    genomes = genomes[genomes[:, :4].any(axis=1)]
    known = np.concatenate([[0], costs])
    for genome, canonical in zip(genomes, whole.canonical(genomes), strict=True):
        before = by_definition(probabilities, labels, genome[:4], genome[4:] / 50)
        after = by_definition(probabilities, labels, canonical[:4], canonical[4:] / 50)
        assert before[0] == after[0]
        assert known[genome[:4]] @ before[1] == pytest.approx(known[canonical[:4]] @ after[1])


def test_ensembles_are_sets_with_repeats():
    whole = space("ensemble")
    assert whole.names == ("network1", "network2", "network3", "network4")
    assert whole.canonical(np.array([[3, 0, 1, 3], [0, 3, 3, 1]])).tolist() == [[1, 3, 3, 0]] * 2


def test_no_network_at_all_is_the_cheapest_one():
    whole = space()
    assert whole.canonical(np.array([[0, 0, 0, 0, 9, 9, 9]])).tolist() == [[2, 0, 0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(whole.smallest, [2, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(whole.largest, [3, 3, 3, 3, 50, 50, 50])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"networks": ["net1"]}, "keys networks, thresholds"),
        ({"networks": [], "thresholds": []}, "1 to 4 names"),
        ({"networks": ["net1", "net2"], "thresholds": []}, "list of 1 numbers"),
        ({"networks": ["net1", "met2"], "thresholds": [0.5]}, "unknown network 'met2'; did you mean 'net"),
        ({"networks": ["net1", "net2"], "thresholds": [0.51]}, "0 to 1 in steps of 0.02"),
    ],
)
def test_wrong_cascades_are_refused(config, message):
    with pytest.raises(UserError, match=message):
        space().encode(config)
