import numpy as np
import pytest

from nas.pareto import hypervolume, non_dominated


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
