import numpy as np
import pytest

from nas.algorithm.design import graded, initial_design
from nas.objective.cost import TableCost
from nas.space.constrained import Bound, Constrained
from nas.space.ofa import OfaSpace
from tests.optimizer.problems import Plain


def test_without_spread_it_is_the_uniform_sample(space):
    rng = np.random.default_rng(3)
    ends = np.stack([space.smallest, space.largest])
    expected = np.concatenate([ends, space.sample_unseen(18, ends, rng)])
    np.testing.assert_array_equal(initial_design(space, 20, np.random.default_rng(3), 0.0), expected)


@pytest.mark.parametrize("spread", [0.0, 2.0])
def test_both_ends_first_all_different_and_canonical(spread, space):
    design = initial_design(space, 60, np.random.default_rng(0), spread)
    assert len(design) == len(np.unique(design, axis=0)) == 60
    np.testing.assert_array_equal(design[:2], [space.smallest, space.largest])
    np.testing.assert_array_equal(space.canonical(design), design)


def test_sizes_are_spread(tables, space):
    cost = TableCost(cost="flops", tables=tables)
    spans = [cost(initial_design(space, 100, np.random.default_rng(0), spread)).std() for spread in (0.0, 1.0, 3.0)]
    assert spans[0] * 1.1 < spans[1] < spans[2] / 1.1


def test_small_spread_is_nearly_uniform_and_every_choice_comes_up():
    space = Plain([2, -3, 7], [5, 0, 7])
    drawn = graded(space, 4000, np.random.default_rng(0), 1e-6)
    for gene in (0, 1):
        counts = np.bincount(drawn[:, gene] - space.lower[gene])
        np.testing.assert_allclose(counts / 4000, 0.25, atol=0.03)
    assert (drawn[:, 2] == 7).all()


def test_choices_are_as_likely_as_the_lean_says():
    """With a lean of t, choices weigh exp(t i / 2): the middle is the geometric mean of the ends, draw by draw."""
    space = Plain([0] * 400, [2] * 400)
    for genome in graded(space, 10, np.random.default_rng(0), 1.0):
        low, middle, high = np.bincount(genome, minlength=3) / 400
        assert middle == pytest.approx(np.sqrt(low * high), abs=0.08)


def test_constraints_are_kept_and_the_rest_is_filled(tables, space):
    cost = TableCost(cost="flops", tables=tables)
    most = cost(space.smallest[None])[0] * 1.3
    constrained = Constrained(space, [Bound("flops", cost, None, most)])
    design = initial_design(constrained, 12, np.random.default_rng(0), 3.0)
    assert (cost(design) <= most).all()
    np.testing.assert_array_equal(design[0], space.smallest)


def test_a_used_up_space_gives_all_it_has():
    space = OfaSpace(
        n_stages=1, depths=(1,), kernel_sizes=(3, 5), expand_ratios=(2, 3), resolutions=(8,), widths=(1.0,)
    )
    assert len(initial_design(space, 10, np.random.default_rng(0), 2.0)) == 4
