import moocore
import numpy as np
import pytest

from nas.improvement import ExpectedImprovement, reference_beyond


def volume(points, reference):
    inside = points[(points < reference).all(axis=1)]
    return moocore.hypervolume(inside, ref=reference) if len(inside) else 0.0


def added(point, front, reference):
    return volume(np.concatenate([front, point[None]]), reference) - volume(front, reference)


def problem(m, n_front, seed=0):
    rng = np.random.default_rng(seed)
    front = rng.random((n_front, m)) + 0.1
    front /= np.linalg.norm(front, axis=1)[:, None]
    return front, rng.random((12, m)) * 1.3, np.full(m, 1.1)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
@pytest.mark.parametrize("n_front", [0, 1, 9])
def test_of_certain_candidates_is_the_hypervolume_they_add(m, n_front):
    front, candidates, reference = problem(m, n_front)
    expected = [added(point, front, reference) for point in candidates]
    found = ExpectedImprovement(front, reference)(candidates, np.zeros(len(candidates)))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert max(expected) > 0


@pytest.mark.parametrize("m", [2, 3])
def test_is_the_mean_over_what_errors_may_be(m):
    front, candidates, reference = problem(m, 7)
    deviations = np.linspace(0.02, 0.4, len(candidates))
    found = ExpectedImprovement(front, reference)(candidates, deviations)
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    for candidate, deviation, value in zip(candidates, deviations, found, strict=True):
        drawn = candidate + np.outer(nodes * deviation, np.eye(m)[0])
        mean = np.average([added(point, front, reference) for point in drawn], weights=weights)
        assert value == pytest.approx(mean, abs=0.01 * found.max())


def test_grows_with_the_uncertainty_and_falls_with_error_and_cost():
    front, _, reference = problem(2, 9)
    improvement = ExpectedImprovement(front, reference)
    point = np.array([0.8, 0.7])
    values = improvement(np.tile(point, (4, 1)), np.array([0.0, 0.1, 0.2, 0.4]))
    assert values[0] == 0
    assert (np.diff(values) > 0).all()
    worse = improvement(point + np.array([[0, 0], [0.1, 0], [0, 0.1]]), np.full(3, 0.2))
    assert (worse[1:] < worse[0]).all()


def test_dominated_points_and_points_beyond_the_reference_change_nothing():
    front, candidates, reference = problem(2, 9)
    more = np.concatenate([front, front + 0.05, [[2.0, 0.01], [0.01, 2.0]]])
    deviations = np.full(len(candidates), 0.1)
    np.testing.assert_allclose(
        ExpectedImprovement(more, reference)(candidates, deviations),
        ExpectedImprovement(front, reference)(candidates, deviations),
        atol=1e-12,
    )


def test_large_fronts_of_three_objectives_are_thinned_to_nearly_the_same():
    front, candidates, reference = problem(3, 150)
    found = ExpectedImprovement(front, reference)(candidates, np.zeros(len(candidates)))
    exact = np.array([added(point, front, reference) for point in candidates])
    assert (found >= exact - 1e-9).all()
    np.testing.assert_allclose(found, exact, atol=0.1 * volume(front, reference))


def test_reference_beyond_the_worst_by_a_share_of_the_range():
    np.testing.assert_allclose(reference_beyond(np.array([[0.0, 5.0], [2.0, 5.0]]), 0.1), [2.2, 5.1])
