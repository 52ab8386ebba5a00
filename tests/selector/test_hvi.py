import moocore
import numpy as np
import pytest

from nas.pareto import non_dominated
from nas.selector.hvi import HVI


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_is_the_greedy_choice_at_every_step(m, seed):
    rng = np.random.default_rng(seed)
    candidates, front = rng.random((30, m)) + 0.1, rng.random((5, m)) + 0.5
    candidates /= np.linalg.norm(candidates, axis=1)[:, None] ** 0.5
    known = np.concatenate([front, candidates[non_dominated(candidates)]])
    low, span = known.min(axis=0), np.ptp(known, axis=0)
    points, joined = (candidates - low) / span, (front - low) / span

    def volume(rows):
        return moocore.hypervolume(rows, ref=np.full(m, 1.1))

    expected = []
    for n in range(1, 6):
        added = [volume(np.concatenate([joined, point[None]])) - volume(joined) for point in points]
        if max(added) < 1e-9:
            break
        expected.append(int(np.argmax(added)))
        joined = np.concatenate([joined, points[expected[-1:]]])
        assert HVI(margin=0.1).select(candidates, front, n, rng).tolist() == sorted(expected)
    assert len(expected) >= 2


def test_prefers_what_dominates_the_front():
    front = np.array([[1.0, 5.0], [3.0, 3.0], [5.0, 1.0]])
    candidates = np.array([[3.1, 3.1], [2.0, 2.5], [5.5, 0.9], [4.0, 4.0]])
    assert HVI(margin=0.1).select(candidates, front, 1, np.random.default_rng(0)).tolist() == [1]


def test_goes_on_among_the_rest_where_nothing_adds_anything():
    front = np.array([[0.0, 0.0]])
    candidates = np.array([[9.0, 9.0], [1.0, 2.0], [2.0, 1.0], [8.0, 8.0], [50.0, 60.0]])
    assert HVI(margin=0.1).select(candidates, front, 2, np.random.default_rng(0)).tolist() == [1, 2]
    assert HVI(margin=0.1).select(candidates, front, 4, np.random.default_rng(0)).tolist() == [0, 1, 2, 3]


def test_without_a_margin_the_ends_are_worth_nothing():
    line = np.linspace(0, 1, 11)
    candidates = np.column_stack([line, 1 - line])
    front = np.array([[0.9, 0.9]])
    chosen = HVI(margin=0.0).select(candidates, front, 3, np.random.default_rng(0))
    assert 0 not in chosen
    assert 10 not in chosen
