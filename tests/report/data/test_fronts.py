from itertools import product

import numpy as np
import pytest

from nas.report.data.fronts import along, attainment_surfaces, hypervolumes, progress, reference_point, spread, thinned
from nas.run.results import Results
from tests.report.made import made_run, whole_archive


@pytest.mark.parametrize("changes", [{}, {"again": True}, {"failing": True}, {"objectives": 3, "again": True}])
def test_fronts_and_hypervolumes_are_those_of_the_run_itself(tmp_path, changes):
    run = made_run(tmp_path / "run", steps=6, **changes)
    archive = whole_archive(run.folder)
    results = Results(archive, run.folder, None)
    course = progress(run.record, 100)
    assert course.steps.tolist() == list(range(6))
    assert course.evaluations.tolist() == [archive.n_evaluations(step) for step in range(6)]
    reference = reference_point([run.record])
    assert reference == pytest.approx(archive.reference_point())
    found = hypervolumes(run.record, course, reference, np.zeros(len(reference)))
    assert found == pytest.approx([results.hypervolume(step) for step in range(6)], rel=1e-12)
    assert [len(front) for front in course.fronts] == [len(archive.front(step)) for step in range(6)]


def test_lifetimes_give_back_every_front(tmp_path):
    record = made_run(tmp_path / "run", steps=8, again=True).record
    course = progress(record, 100)
    places, born, died = course.lifetimes()
    for count, front in zip(course.evaluations, course.fronts, strict=True):
        alive = places[(born <= count) & ((died < 0) | (died > count))]
        assert alive.tolist() == sorted(front.tolist())


def test_many_steps_are_thinned_evenly_with_first_and_last():
    assert thinned(3, 10).tolist() == [0, 1, 2]
    assert thinned(101, 5).tolist() == [0, 25, 50, 75, 100]
    assert thinned(1, 5).tolist() == [0]


def test_the_reference_point_is_the_worst_of_all_runs(tmp_path):
    runs = [made_run(tmp_path / str(i), seed=i, shift=3.0 * i) for i in range(3)]
    worst = np.max([whole_archive(run.folder).reference_point() for run in runs], axis=0)
    assert reference_point([run.record for run in runs]) == pytest.approx(worst)


def test_curves_hold_or_end():
    curve = np.array([10, 20]), np.array([0.5, 0.6])
    grid = np.array([5, 10, 15, 20, 25])
    assert along(*curve, grid, holds=True).tolist()[1:] == [0.5, 0.5, 0.6, 0.6]
    ended = along(*curve, grid, holds=False)
    assert np.isnan(ended[[0, 4]]).all() and ended[1:4].tolist() == [0.5, 0.5, 0.6]


def attained_by(fronts, point):
    return sum(bool(np.any(np.all(front <= point, axis=1))) for front in fronts)


@pytest.mark.parametrize("runs", [1, 2, 3, 6, 7])
def test_a_point_is_above_a_surface_exactly_when_so_many_runs_dominate_it(runs):
    rng = np.random.default_rng(runs)
    fronts = [rng.integers(0, 12, (8, 2)).astype(float) for _ in range(runs)]
    surfaces = attainment_surfaces(fronts)
    for name, needed in (("best", 1), ("median", -(-runs // 2)), ("worst", runs)):
        for point in product(np.arange(0, 13, 0.5), repeat=2):
            above = bool(np.any(np.all(surfaces[name] <= np.array(point), axis=1)))
            assert above == (attained_by(fronts, np.array(point)) >= needed), (name, point)


def test_spread_leaves_out_what_is_not_there():
    curves = np.array([[np.nan, 1.0, 2.0], [np.nan, 3.0, np.nan]])
    found = spread(curves)
    assert np.isnan(found[:, 0]).all()
    assert found[:, 1].tolist() == [1.0, 1.5, 2.0, 2.5, 3.0] and found[:, 2].tolist() == [2.0] * 5
