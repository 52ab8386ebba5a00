import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from nas.report.statistics.predictions import _quality, prediction_quality
from nas.run.results import surrogate_quality as of_entries
from tests.report.made import made_run, whole_archive


@pytest.mark.parametrize("changes", [{}, {"again": True}, {"failing": True}])
def test_is_what_runs_report_of_themselves(tmp_path, changes):
    run = made_run(tmp_path / "run", steps=6, **changes)
    archive = whole_archive(run.folder)
    steps, found = prediction_quality(run.record)
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
    steps, found = prediction_quality(made_run(tmp_path / "run", steps=1).record)
    assert len(steps) == 0 and found.shape == (0, 3)
