"""What every selector must do; a new one joins by a line in this table."""

from pathlib import Path

import numpy as np
import pytest

from nas.selector.ehvi import EHVI
from nas.selector.hvi import HVI
from nas.selector.reference import Reference
from nas.selector.subset import Subset

CONF = Path(__file__).parent.parent.parent / "conf" / "selector"
SELECTORS = {
    "subset": Subset(),
    "reference": Reference(directions=20),
    "hvi": HVI(margin=0.1),
    "ehvi": EHVI(margin=0.1),
}
every = pytest.mark.parametrize("selector", SELECTORS.values(), ids=SELECTORS)


def test_none_is_missing():
    assert {path.stem for path in CONF.glob("*.yaml")} == set(SELECTORS)


@every
@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("n", [1, 8, 39])
def test_as_many_as_asked_for_ascending_and_different(selector, m, n):
    rng = np.random.default_rng(0)
    chosen = selector.select(rng.random((40, m)), rng.random((5, m)), n, rng)
    assert chosen.shape == (n,)
    assert chosen.dtype == np.int64
    assert (np.diff(chosen) > 0).all()
    assert 0 <= chosen[0] <= chosen[-1] < 40


@every
@pytest.mark.parametrize("k", [0, 3, 4])
def test_all_of_them_where_there_are_too_few(selector, k):
    assert selector.select(np.ones((k, 2)), np.zeros((1, 2)), 4, np.random.default_rng(0)).tolist() == list(range(k))


@every
@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("m", [2, 3])
def test_few_candidates_or_none_where_the_model_says_how_sure_it_is(selector, k, m):
    rng = np.random.default_rng(0)
    for n in (1, 2, 8):
        covariance = 0.1 * np.eye(k) if selector.uses_covariance else None
        chosen = selector.select(rng.random((k, m)), rng.random((3, m)), n, rng, covariance)
        assert len(chosen) == len(set(chosen.tolist())) == min(n, k)


@every
def test_equal_candidates_and_a_front_of_one_point(selector):
    candidates = np.repeat([[1.0, 2.0], [2.0, 1.0]], 10, axis=0)
    chosen = selector.select(candidates, np.array([[1.0, 2.0]]), 5, np.random.default_rng(0))
    assert len(set(chosen)) == 5
    same = selector.select(np.ones((9, 2)), np.ones((1, 2)), 5, np.random.default_rng(0))
    assert len(set(same)) == 5


@every
def test_depends_on_its_arguments_alone_and_changes_none(selector):
    rng = np.random.default_rng(0)
    candidates, front = rng.random((60, 2)), rng.random((4, 2))
    before = candidates.copy(), front.copy()
    np.random.seed(0)
    state = np.random.get_state()[1].copy()
    first = selector.select(candidates, front, 7, np.random.default_rng(1))
    selector.select(rng.random((50, 2)), front, 7, np.random.default_rng(2))
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    np.testing.assert_array_equal(selector.select(candidates, front, 7, np.random.default_rng(1)), first)
    np.testing.assert_array_equal(candidates, before[0])
    np.testing.assert_array_equal(front, before[1])


@every
def test_units_do_not_matter(selector):
    rng = np.random.default_rng(0)
    candidates, front = rng.random((60, 2)), rng.random((4, 2))
    scale, shift = np.array([1024.0, 0.5]), np.array([-8.0, 64.0])
    chosen = [
        selector.select(points, known, 7, np.random.default_rng(1))
        for points, known in [(candidates, front), (candidates * scale + shift, front * scale + shift)]
    ]
    np.testing.assert_array_equal(*chosen)
