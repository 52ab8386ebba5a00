from itertools import product

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from nas.report.statistics.attainment import _quality, attainment_surfaces, surrogate_quality
from nas.run.results import surrogate_quality as of_entries
from tests.report.made import made_run, whole_archive


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


@pytest.mark.parametrize("changes", [{}, {"again": True}, {"failing": True}])
def test_is_what_runs_report_of_themselves(tmp_path, changes):
    run = made_run(tmp_path / "run", steps=6, **changes)
    archive = whole_archive(run.folder)
    steps, found = surrogate_quality(run.record)
    assert steps.tolist() == [1, 2, 3, 4, 5]
    for step, row in zip(steps.tolist(), found, strict=True):
        assert row == pytest.approx(of_entries(archive.fresh(step)))


def test_ties_and_short_rows():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 4, (50, 9)).astype(float), rng.integers(0, 4, (50, 9)).astype(float)
    x[::2, 6:] = y[::2, 6:] = np.nan
    for row, (_, rho, tau) in enumerate(_quality(x, y)):
        n = 6 if row % 2 == 0 else 9
        a, b = x[row, :n], y[row, :n]
        assert rho == pytest.approx(spearmanr(a, b).statistic) and tau == pytest.approx(kendalltau(a, b).statistic)
    assert np.isnan(_quality(np.ones((1, 3)), np.array([[1.0, 2.0, 3.0]]))[0, 1:]).all()


def test_runs_without_predictions_have_none(tmp_path):
    steps, found = surrogate_quality(made_run(tmp_path / "run", steps=1).record)
    assert len(steps) == 0 and found.shape == (0, 3)
