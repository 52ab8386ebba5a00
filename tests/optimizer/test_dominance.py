import numpy as np
import pytest

from nas.optimizer.dominance import compare, least_violated_front, merge


def dominates(a, b):
    return (a <= b).all() and (a < b).any()


def a_front(points):
    points = np.unique(points, axis=0)  # sorted by the first objective
    return points[[not any(dominates(q, p) for q in points) for p in points]]


@pytest.mark.parametrize("m", [2, 3, 4])
@pytest.mark.parametrize("seed", range(10))
def test_against_comparing_all_pairs(m, seed):
    rng = np.random.default_rng(seed)
    front = a_front(rng.integers(0, 12, (30, m)).astype(float))
    points = rng.integers(0, 12, (40, m)).astype(float)
    dominated, equal = compare(points, front)
    np.testing.assert_array_equal(dominated, [any(dominates(q, p) for q in front) for p in points])
    np.testing.assert_array_equal(equal, [any((q == p).all() for q in front) for p in points])
    fresh = points[~(dominated | equal)]
    joined = np.concatenate([front, fresh])
    merged = joined[merge(front, fresh)]
    expected = a_front(joined)
    np.testing.assert_array_equal(merged if m == 2 else np.unique(merged, axis=0), expected)


@pytest.mark.parametrize("m", [2, 3])
def test_an_empty_front(m):
    points = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [0.0, 5.0, 3.0]])[:, :m]
    assert not np.any(compare(points, points[:0]))
    assert sorted(merge(points[:0], points).tolist()) == [0, 2]


def test_least_violation_comes_first():
    objectives = np.array([[0.0, 0.0], [3.0, 3.0], [2.0, 4.0], [3.0, 5.0]])
    assert least_violated_front(objectives, np.array([2.0, 1.0, 1.0, 1.0])).tolist() == [1, 2]
    assert least_violated_front(objectives, np.zeros(4)).tolist() == [0]
