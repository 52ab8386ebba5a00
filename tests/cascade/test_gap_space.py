import numpy as np
import pytest

from nas.cascade.space import GapCascadeSpace
from nas.errors import UserError

NAMES = ["a", "b", "c", "d"]


def space():
    return GapCascadeSpace(names=NAMES, costs=np.array([5.0, 3, 9, 4]))


def test_round_trip():
    whole = space()
    genomes = whole.sample(200, np.random.default_rng(0))
    np.testing.assert_array_equal(whole.canonical(genomes), genomes)
    for genome in genomes:
        np.testing.assert_array_equal(whole.encode(whole.decode(genome).config), genome)


def test_thresholds_are_exact():
    gaps = [1.49609375, float(np.float32(0.1)), 0.0]
    genome = space().encode({"networks": ["c", "a", "b", "d"], "gaps": gaps})
    assert space().decode(genome).config == {"networks": ["c", "a", "b", "d"], "gaps": gaps}
    networks, thresholds = space().parts(genome[None])
    assert networks.tolist() == [[3, 1, 2, 4]]
    assert thresholds.tolist() == [gaps]


def test_genomes_are_in_the_order_of_their_thresholds():
    genomes = [space().encode({"networks": ["a", "b"], "gaps": [gap]}) for gap in (-1, 0, 1e-30, 0.5, 7, None)]
    assert np.all(np.diff([genome[4] for genome in genomes]) > 0)


def test_a_network_that_comes_again_is_left_out():
    genome = np.array([2, 2, 0, 3, 7, 8, 9])
    assert space().canonical(genome[None]).tolist() == [[2, 3, 0, 0, 7, 0, 0]]
    assert space().canonical(np.zeros((1, 7), dtype=np.int64)).tolist() == [[2, 0, 0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(space().smallest, [2, 0, 0, 0, 0, 0, 0])
    assert space().largest[:4].tolist() == [2, 4, 1, 3]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"networks": ["a"]}, "keys gaps, networks"),
        ({"networks": ["a", "a"], "gaps": [1.0]}, "different names"),
        ({"networks": ["a", "b"], "gaps": []}, "list of 1 numbers"),
        ({"networks": ["a", "x"], "gaps": [1.0]}, "unknown network 'x'"),
    ],
)
def test_wrong_cascades_are_refused(config, message):
    with pytest.raises(UserError, match=message):
        space().encode(config)
