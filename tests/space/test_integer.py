import numpy as np
import pytest

import nas


def test_every_vector_is_an_architecture():
    space = nas.IntegerSpace([0, 3], [2, 7])
    assert space.names == ("x0", "x1")
    assert space.size() == 15
    genomes = space.unseen(np.zeros((0, 2), dtype=np.int64))
    assert genomes is not None
    assert len(genomes) == 15
    for genome in genomes:
        np.testing.assert_array_equal(space.encode(space.decode(genome).config), genome)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0], [1, 2]), "two lists of one length, not 1 and 2 values"),
        (([], []), "two lists of one length"),
        (([0, 5], [1, 2]), "gene 1: the lower bound 5 is above the upper bound 2"),
        (([0], [1], ["a", "b"]), "names are 1 different texts"),
        (([0, 0], [1, 1], ["a", "a"]), "names are 2 different texts"),
    ],
)
def test_wrong_bounds(arguments, message):
    with pytest.raises(nas.UserError, match=message):
        nas.IntegerSpace(*arguments)


def test_wrong_architectures():
    space = nas.IntegerSpace([0], [1], ["depth"])
    with pytest.raises(nas.UserError, match="the architecture has no 'depth'"):
        space.encode({})
    with pytest.raises(nas.UserError, match="is 3, allowed are 0 to 1"):
        space.encode({"depth": 3})
