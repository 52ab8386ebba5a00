import json

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from nas.files import unsealed
from nas.run.archive import Entry
from nas.run.results import Results, quality_with_archive, surrogate_quality
from nas.types import Architecture

SMALL = {"n_doe": 13, "n_iter": 4, "iterations": 2}
FITTED = np.array([30.0, 20.5, 10.0])
KNOWN = np.array([30.0, 20.0, 10.0])


def entries(*pairs):
    return [
        Entry(1, i, Architecture((i,), {}), None if error is None else (error, 1.0), {}, predicted)
        for i, (predicted, error) in enumerate(pairs)
    ]


def test_new_candidates_alone_and_with_the_archive():
    new = entries((25.0, 22.0), (15.0, 24.0), (12.0, None), (None, 5.0))
    predicted, actual = [30.0, 20.5, 10.0, 25.0, 15.0], [30.0, 20.0, 10.0, 22.0, 24.0]
    assert surrogate_quality(new) == pytest.approx((np.sqrt((3**2 + 9**2) / 2), -1.0, -1.0))
    rmse, rho, tau = (
        np.sqrt((0.5**2 + 3**2 + 9**2) / 5),
        spearmanr(predicted, actual)[0],
        kendalltau(predicted, actual)[0],
    )
    assert quality_with_archive(new, FITTED, KNOWN) == pytest.approx((rmse, rho, tau))
    assert rho != tau


def test_what_is_not_defined_is_none():
    assert surrogate_quality(entries((1.0, 2.0))) == (None, None, None)
    assert surrogate_quality(entries((1.0, 2.0), (1.0, 3.0))) == (pytest.approx(np.sqrt(2.5)), None, None)
    assert quality_with_archive(entries((None, 2.0)), None, KNOWN) == (None, None, None)
    assert quality_with_archive(entries((1.0, None)), FITTED, KNOWN)[1:] == pytest.approx((1.0, 1.0))


def test_steps_hold_the_agreement_with_the_archive(make_search, tmp_path):
    """An interpolant reproduces what it was fitted to."""
    search, archive = make_search(tmp_path, **SMALL)
    search.run(retry_failed=False)
    summaries = [Results(archive, tmp_path, None).summary(step) for step in range(3)]
    assert (summaries[0].rmse_archive, summaries[0].rho_archive, summaries[0].tau_archive) == (None, None, None)
    for step, n_fitted in [(1, 13), (2, 17)]:
        summary = summaries[step]
        assert summary.rmse_archive == pytest.approx(summary.rmse * np.sqrt(4 / (n_fitted + 4)), rel=1e-6)
        assert 0 < summary.tau_archive <= 1
    commit = json.loads((tmp_path / "archive.jsonl").read_text().splitlines()[-1])["commit"]
    assert commit["tau_archive"] == summaries[2].tau_archive


def test_times_of_every_step_survive_a_resume(make_search, tmp_path):
    first = SMALL | {"iterations": 1}
    make_search(tmp_path, **first)[0].run(retry_failed=False)
    before = (tmp_path / "times.jsonl").read_text()
    search, archive = make_search(tmp_path, **SMALL)
    search.run(retry_failed=False)
    lines = (tmp_path / "times.jsonl").read_text().splitlines()
    assert lines[:2] == before.splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1, 2]
    for step in (1, 2):
        seconds = Results(archive, tmp_path, None).summary(step).seconds
        assert seconds.keys() == {"fit", "search", "select", "train", "evaluate"}
        assert all(value >= 0 for value in seconds.values())
        assert seconds["fit"] > 0 < seconds["search"]


def test_times_of_steps_that_the_archive_lacks_and_damaged_ones_are_forgotten(make_search, tmp_path):
    _, archive = make_search(tmp_path, **SMALL)
    path = tmp_path / "times.jsonl"
    path.write_text('{"step": 0, "seconds": {"fit": 1.0}}\n')
    results = Results(archive, tmp_path, None)
    results.record_seconds(1, {"fit": 2.0})
    assert unsealed(json.loads(path.read_text())) == {"step": 1, "seconds": {"fit": 2.0}}
    path.write_text("{")
    Results(archive, tmp_path, None).record_seconds(2, {})
    assert unsealed(json.loads(path.read_text())) == {"step": 2, "seconds": {}}
