import numpy as np
import pytest

import nas


def test_a_function_of_the_genomes():
    cost = nas.KnownCost("energy", lambda genomes: genomes.sum(axis=1), unit="mJ")
    assert cost.measure == nas.Measure("energy", "mJ")
    np.testing.assert_array_equal(cost(np.array([[1, 2], [3, 4]])), [3.0, 7.0])
    assert cost.limits() is None
    assert nas.KnownCost("energy", np.sum, limits=(1.0, 9.0)).limits() == (1.0, 9.0)


def test_one_value_an_architecture():
    cost = nas.KnownCost("energy", lambda genomes: genomes)
    with pytest.raises(
        nas.UserError, match=r"cost 'energy' returned shape \(2, 2\) for 2 genomes; it must return \(2,\)"
    ):
        cost(np.array([[1, 2], [3, 4]]))
