import csv
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from nas.run.box import Box
from nas.run.results import StepSummary
from nas.tracker.base import RunInfo
from nas.tracker.csv import CsvTracker
from nas.types import Measure

FIRST = StepSummary(
    step=0,
    evaluations=10,
    failed=1,
    hypervolume=0.1 + 0.2,
    front_size=2,
    best=(1.5, 0.25),
    rmse=None,
    rho=None,
    tau=None,
    rmse_archive=None,
    rho_archive=None,
    tau_archive=None,
    parts={},
    seconds={"evaluate": 2.0},
    front=[],
    box=Box((90.0, 1.5), (0.0, 0.25), "space"),
)
SECOND = replace(
    FIRST,
    step=1,
    evaluations=14,
    rmse=0.4,
    rho=0.9,
    tau=0.75,
    rmse_archive=0.125,
    rho_archive=0.99,
    tau_archive=0.95,
    parts={},
    seconds={"fit": 0.25, "search": 0.5, "evaluate": 1.25},
)


def run_info(folder: Path) -> RunInfo:
    return RunInfo(
        folder=folder,
        id="a1",
        group="tiny",
        name="tiny-0",
        task="search",
        tags=(),
        config={},
        objectives=[Measure("top1_error", "%"), Measure("flops", "MFLOPs")],
        steps=3,
        evaluations=18,
    )


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_row_a_step(tmp_path: Path) -> None:
    tracker = CsvTracker()
    tracker.start(run_info(tmp_path), [])
    assert rows(tmp_path) == []
    tracker.step(FIRST, None)
    assert len(rows(tmp_path)) == 1
    tracker.step(SECOND, None)
    tracker.finish(None)
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "step,evaluations,failed,hypervolume,front_size,best_top1_error,best_flops,rmse,rho,tau,"
        "rmse_archive,rho_archive,tau_archive,"
        "seconds_fit,seconds_search,seconds_select,seconds_train,seconds_evaluate,"
        "reference_top1_error,reference_flops,ideal_top1_error,ideal_flops",
        "0,10,1,0.30000000000000004,2,1.5,0.25,,,,,,,,,,,2.000,90.0,1.5,0.0,0.25",
        "1,14,1,0.30000000000000004,2,1.5,0.25,0.4,0.9,0.75,0.125,0.99,0.95,0.250,0.500,,,1.250,90.0,1.5,0.0,0.25",
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.csv"]


def test_resumed_run_keeps_rows(tmp_path: Path) -> None:
    first = CsvTracker()
    first.start(run_info(tmp_path), [])
    first.step(FIRST, None)
    first.step(SECOND, None)
    before = (tmp_path / "metrics.csv").read_text()

    second = CsvTracker()
    second.start(run_info(tmp_path), [FIRST, SECOND])
    assert (tmp_path / "metrics.csv").read_text() == before
    second.step(replace(SECOND, step=2), None)
    assert [row["step"] for row in rows(tmp_path)] == ["0", "1", "2"]
    assert rows(tmp_path)[1]["seconds_search"] == "0.500"


def test_step_that_history_lacks_is_dropped(tmp_path: Path) -> None:
    first = CsvTracker()
    first.start(run_info(tmp_path), [])
    first.step(FIRST, None)
    first.step(SECOND, None)
    CsvTracker().start(run_info(tmp_path), [FIRST])
    assert [row["step"] for row in rows(tmp_path)] == ["0"]


def test_parts_of_the_surrogate_get_a_column(tmp_path: Path) -> None:
    tracker = CsvTracker()
    tracker.start(run_info(tmp_path), [])
    tracker.step(FIRST, None)
    tracker.step(replace(SECOND, parts={"flops": 0.5, "tiny_error": None}), None)
    assert [row["rho_flops"] for row in rows(tmp_path)] == ["", "0.5"]
    assert [row["rho_tiny_error"] for row in rows(tmp_path)] == ["", ""]


def test_unknown_activities_get_a_column(tmp_path: Path) -> None:
    tracker = CsvTracker()
    tracker.start(run_info(tmp_path), [])
    tracker.step(replace(FIRST, seconds={"test": 3.0}), None)
    assert rows(tmp_path)[0]["seconds_test"] == "3.000"


def test_failures_are_reported_once_and_do_not_stop_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "file"
    folder.write_text("not a folder")
    tracker = CsvTracker()
    with caplog.at_level(logging.WARNING):
        tracker.start(run_info(folder), [])
        tracker.step(FIRST, None)
    assert len(caplog.records) == 1
    assert "CsvTracker failed" in caplog.text


def test_damaged_file_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "metrics.csv").write_text("nonsense\n1\n")
    tracker = CsvTracker()
    tracker.start(run_info(tmp_path), [FIRST])
    tracker.step(SECOND, None)
    assert [row["evaluations"] for row in rows(tmp_path)] == ["10", "14"]
    assert not caplog.records
