import numpy as np
import pytest

from nas.optimizer.elitist_archive import ElitistArchive
from nas.pareto import non_dominated


def offer_all(archive, objectives, violations, size=20):
    for start in range(0, len(objectives), size):
        ids = np.arange(start, min(start + size, len(objectives)))
        taken = archive.offer(ids, objectives[ids], violations[ids])
        assert set(taken) <= set(archive.ids)
        assert set(taken) <= set(ids)


@pytest.mark.parametrize("m", [2, 3])
def test_is_the_front_of_everything_offered(m):
    objectives = np.random.default_rng(0).integers(0, 30, (500, m)).astype(float)
    archive = ElitistArchive(1000, m)
    offer_all(archive, objectives, np.zeros(500))
    expected = np.unique(objectives[non_dominated(objectives)], axis=0)
    np.testing.assert_array_equal(np.unique(archive.objectives, axis=0), expected)
    np.testing.assert_array_equal(archive.objectives, objectives[archive.ids])
    assert len(archive.ids) == len(expected)


def test_less_violation_replaces_everything():
    objectives = np.array([[0.0, 0.0], [5.0, 1.0], [1.0, 5.0], [6.0, 6.0], [0.0, 9.0]])
    violations = np.array([3.0, 2.0, 2.0, 0.0, 2.0])
    archive = ElitistArchive(10, 2)
    archive.offer(np.arange(3), objectives[:3], violations[:3])
    assert archive.ids.tolist() == [2, 1]
    assert archive.dominates(objectives, violations).tolist() == [True, False, False, False, False]
    assert archive.offer(np.arange(3, 5), objectives[3:], violations[3:]).tolist() == [3]
    assert archive.ids.tolist() == [3]
    assert archive.dominates(objectives, violations).tolist() == [True, True, True, False, True]


@pytest.mark.parametrize("m", [2, 3])
def test_thins_out_evenly_and_keeps_one_a_box(m):
    rng = np.random.default_rng(0)
    objectives = np.abs(rng.normal(size=(3000, m)))
    objectives = 2 - objectives / np.linalg.norm(objectives, axis=1)[:, None]  # all of them non-dominated
    archive = ElitistArchive(100, m)
    for start in range(0, 3000, 500):
        ids = np.arange(start, start + 500)
        archive.offer(ids, objectives[ids], np.zeros(500))
        archive.thin_out()
        assert 40 <= len(archive.ids) <= 100
        np.testing.assert_array_equal(archive.objectives, objectives[archive.ids])
    assert (np.ptp(archive.objectives, axis=0) > 0.85).all()


def test_boxes_go_when_few_are_left():
    line = np.arange(200) / 200
    objectives = np.column_stack([line, 1 - line])
    archive = ElitistArchive(100, 2)
    archive.offer(np.arange(200), objectives, np.zeros(200))
    archive.thin_out()
    assert len(archive.ids) <= 100
    # These dominate all before, and lie so close together that one box holds several.
    better = objectives[:30] / 1000 - 1
    archive.offer(np.arange(200, 230), better, np.zeros(30))
    assert len(archive.ids) < 30
    archive.thin_out()
    archive.offer(np.arange(200, 230), better, np.zeros(30))
    assert len(archive.ids) == 30
