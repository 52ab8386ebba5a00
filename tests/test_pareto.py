import warnings

import numpy as np
import pytest

from nas.pareto import achievements, hypervolume, non_dominated, trade_offs


def test_non_dominated_agrees_with_the_definition():
    points = np.random.default_rng(0).integers(0, 6, size=(60, 3)).astype(float)
    expected = [i for i, p in enumerate(points) if not any(np.all(q <= p) and np.any(q < p) for q in points)]
    assert non_dominated(points).tolist() == expected


def test_nothing_is_non_dominated_among_nothing():
    assert non_dominated(np.zeros((0, 2))).tolist() == []


def test_hypervolume_of_two_points():
    points = np.array([[1.0, 3.0], [2.0, 1.0], [9.0, 9.0]])
    assert hypervolume(points, np.array([4.0, 5.0])) == pytest.approx((3 * 2 + 2 * 2) / 20)


def test_points_beyond_the_reference_add_nothing():
    assert hypervolume(np.array([[5.0, 1.0]]), np.array([4.0, 5.0])) == 0


def test_hypervolume_between_two_corners():
    points = np.array([[1.0, 4.0], [3.0, 2.0], [9.0, 0.0], [0.0, 9.0]])
    # The box from (1, 2) to (5, 6) has area 16; (1, 4) dominates 4 x 2 of it and (3, 2) another 2 x 2.
    assert hypervolume(points, np.array([5.0, 6.0]), np.array([1.0, 2.0])) == pytest.approx(12 / 16)
    assert hypervolume(points - 1, np.array([4.0, 5.0]), np.array([1.0, 2.0])) > 12 / 16
    assert hypervolume(np.zeros((1, 2)), np.array([4.0, 5.0]), np.array([1.0, 2.0])) == 1


def test_achievements_are_those_of_pymoo():
    asf = pytest.importorskip("pymoo.decomposition.asf").ASF()
    rng = np.random.default_rng(0)
    for _ in range(20):
        points, wanted = rng.random((30, 3)) * [40, 600, 9], rng.random(3) * [40, 600, 9]
        np.testing.assert_allclose(achievements(points, wanted), asf.do(points, wanted))
    zero = np.array([0.0, 5.0])
    np.testing.assert_allclose(achievements(points[:, :2], zero), asf.do(points[:, :2], zero))
    assert achievements(np.array([[20.0, 150.0]]), np.array([20.0, 150.0])).tolist() == [1.0]


def test_trade_offs_are_what_their_definition_says():
    rng = np.random.default_rng(0)
    for m in (2, 3):
        for n in (1, 2, 3, 9, 40):
            points = rng.random((n, m))
            points /= np.linalg.norm(points, axis=1, keepdims=True)  # a front that is round
            points = (2 - points) * np.arange(1, m + 1) * 100
            expected = [by_definition(points, i) for i in range(n)]
            np.testing.assert_allclose(trade_offs(points), expected)


def by_definition(points, i):
    """Look at one neighbour after the other."""
    n, m = points.shape
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = [[(v - a) / (b - a) if b > a else 0 for v, a, b in zip(p, low, high, strict=True)] for p in points]
    distances = [np.hypot.reduce(np.subtract(p, scaled[i])) for p in scaled]
    near = [j for j in range(n) if distances[j] <= 0.125]
    if len(near) < min(2 * m, n - 1):
        near = sorted(range(n), key=lambda j: distances[j])[: min(2 * m, n - 1) + 1]
    ratios = []
    for j in near:
        lost = sum(max(0, b - a) for a, b in zip(scaled[i], scaled[j], strict=True))
        gained = sum(max(0, a - b) for a, b in zip(scaled[i], scaled[j], strict=True))
        if gained > 0:
            ratios.append(lost / gained)
    return min(ratios, default=np.inf)


def test_pymoo_finds_outliers_among_the_largest_trade_offs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tool = pytest.importorskip("pymoo.mcdm.high_tradeoff").HighTradeoffPoints()
        x = np.linspace(0, 1, 60)
        front = np.column_stack([x, 0.9 * np.exp(-30 * x) + 0.1 * (1 - x)])
        scaled = (front - front.min(axis=0)) / np.ptp(front, axis=0)
        found = tool._do(scaled)
    assert found is not None and len(found) > 0
    assert set(found.tolist()) == set(np.argsort(-trade_offs(front))[: len(found)].tolist())
