import numpy as np
import pytest

from nas.errors import UserError
from nas.objective.cost import TableCost
from nas.space.constrained import Bound, Constrained
from tests.small import tiny


@pytest.fixture
def cost(tables):
    return TableCost(cost="flops", tables=tables)


@pytest.fixture
def ends(space, cost):
    """Costs of the smallest and the largest architecture."""
    return cost(np.stack([space.smallest, space.largest])).tolist()


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.5), (0.5, 1.0), (0.4, 0.6), (0.0, 0.02), (0.97, 1.0), (0.33, 0.35)])
def test_samples_keep_the_bounds(low, high, space, cost, ends):
    least, most = (ends[0] + share * (ends[1] - ends[0]) for share in (low, high))
    constrained = Constrained(space, [Bound("flops", cost, least, most)])
    genomes = constrained.sample(50, np.random.default_rng(0))
    assert genomes.shape == (50, space.n_genes)
    assert ((cost(genomes) >= least) & (cost(genomes) <= most)).all()
    np.testing.assert_array_equal(space.canonical(genomes), genomes)
    again = constrained.sample(50, np.random.default_rng(0))
    np.testing.assert_array_equal(genomes, again)


def test_a_narrow_band_is_searched():
    """Of 2 million draws less than one in a thousand is in it: neither draws nor mixtures find one."""
    space = tiny(depths=(1, 2, 3)).space
    costs = tiny(depths=(1, 2, 3)).costs()
    cost = TableCost(cost="flops", tables=costs)
    middle = float(np.median(cost(space.sample(501, np.random.default_rng(1)))))
    constrained = Constrained(space, [Bound("flops", cost, middle, 1.0001 * middle)])
    genomes = constrained.sample_unseen(30, space.smallest[None], np.random.default_rng(0))
    assert len(np.unique(genomes, axis=0)) == 30
    assert (constrained.violation(genomes) == 0).all()
    np.testing.assert_array_equal(
        genomes, constrained.sample_unseen(30, space.smallest[None], np.random.default_rng(0))
    )


def test_a_single_architecture_of_a_small_space_is_found(space):
    def cost(genomes):
        return genomes @ 3.0 ** np.arange(space.n_genes)

    for genome in space.sample(3, np.random.default_rng(5)):
        value = float(cost(genome[None])[0])
        constrained = Constrained(space, [Bound("flops", cost, value, value)])
        np.testing.assert_array_equal(constrained.sample(2, np.random.default_rng(0)), np.stack([genome, genome]))


def test_samples_are_the_allowed_draws_where_many_are_allowed(space, cost, ends):
    most = sum(ends) / 2
    constrained = Constrained(space, [Bound("flops", cost, None, most)]).sample(10, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    drawn = np.concatenate([space.sample(10, rng) for _ in range(20)])
    np.testing.assert_array_equal(constrained, drawn[cost(drawn) <= most][:10])


def test_violation_is_relative_and_adds_up(space, cost, ends):
    bounds = [Bound("flops", cost, None, ends[0]), Bound("flops", cost, 2 * ends[1], None)]
    total = np.sum([bound.excess(np.stack([space.smallest, space.largest])) for bound in bounds], axis=0)
    np.testing.assert_allclose(total, [1 - ends[0] / (2 * ends[1]), ends[1] / ends[0] - 1 + 0.5])


def test_what_nothing_satisfies_is_refused(space, cost, ends):
    with pytest.raises(UserError, match=r"no architecture found within constraints\.flops\.max=0\.0001: flops is"):
        Constrained(space, [Bound("flops", cost, None, 1e-4)])
