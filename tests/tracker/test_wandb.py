import json
import logging
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.tracker import wandb, wandb_run
from tests.cluster import until
from tests.tracker.wandb_runs import (
    FIRST,
    SECOND,
    THIRD,
    Recorder,
    follow,
    make,
    offline_runs,
    reads_offline_runs,
    run_info,
)


@reads_offline_runs
@pytest.mark.filterwarnings("ignore:unclosed file")  # the reader's
def test_offline_run_holds_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_RUN_GROUP", "other")
    display = Recorder()
    outcome = {"test/top1_error": 2.0, "test/images": 450.0, "validation/top1_error": 1.5}
    follow(make(display), run_info(tmp_path), [FIRST, SECOND], outcome=outcome)
    (run,) = offline_runs(tmp_path)
    assert {name: run["summary"][name] for name in outcome} == outcome
    assert run["run"] == {"id": "id0", "name": "digits-tiny-0", "group": "digits-tiny", "project": "demo"}
    assert run["config"]["seed"] == 0
    assert run["config"]["algorithm"] == {"iterations": 2}
    assert run["config"]["box"] == {"reference_point": [90.0, 1.01], "ideal_point": [0.0, 0.125], "box_rule": "space"}
    assert (run["config"]["about"], run["config"]["git"]) == ({"data": "digits"}, "abc-dirty")
    assert run["exit"] == 0
    first, second = run["history"]
    assert (first["_step"], first["step"], first["evaluations"], first["failed"]) == (0, 0, 10, 1)
    assert "tau" not in first
    assert "tau_archive" not in first
    assert second["tau_archive"] == 0.95
    assert second["rho/flops"] == 0.5
    assert "rho/tiny_error" not in second
    assert (second["_step"], second["hypervolume"], second["tau"], second["rmse"]) == (1, 0.625, 0.75, 0.4)
    assert (second["best/top1_error"], second["best/flops"], second["seconds/evaluate"]) == (1.5, 0.125, 2.0)
    assert run["summary"]["hypervolume"] == 0.625
    table = json.loads((run["files"] / second["front.path"]).read_text())
    assert table["columns"] == ["step", "top1_error", "flops", "architecture"]
    assert table["data"][0] == [0, 1.5, 0.25, '{"ks": [3, 5], "r": 8}']
    assert (run["files"] / second["front_picture.path"]).exists()
    assert display.calls == ["start", "step 0", "step 1", f"outcome {outcome}", "finish None"]


@reads_offline_runs
@pytest.mark.filterwarnings("ignore:unclosed file")  # the reader's
def test_a_resumed_run_has_one_folder_with_every_step_and_every_picture(tmp_path: Path) -> None:
    follow(make(Recorder()), run_info(tmp_path / "a", seed=0), [FIRST], error="KeyboardInterrupt")
    abandoned = make(Recorder())
    abandoned.start(run_info(tmp_path / "b", seed=1), [])
    (killed,) = offline_runs(tmp_path / "a")
    assert killed["exit"] == 1
    follow(make(Recorder()), run_info(tmp_path / "a", seed=0), [SECOND], history=[FIRST])
    abandoned.finish("lost")

    (other,) = offline_runs(tmp_path / "b")
    assert (other["run"]["id"], other["history"], other["exit"]) == ("id1", [], 1)
    (whole,) = offline_runs(tmp_path / "a")
    assert (whole["run"], whole["exit"]) == (killed["run"], 0)
    assert [(row["_step"], row["step"]) for row in whole["history"]] == [(0, 0), (1, 1)]
    assert all((whole["files"] / row["front_picture.path"]).exists() for row in whole["history"])


@reads_offline_runs
@pytest.mark.filterwarnings("ignore:unclosed file")  # the reader's
def test_what_was_uploaded_is_not_logged_again(tmp_path: Path) -> None:
    run = run_info(tmp_path)
    follow(make(Recorder()), run, [FIRST, SECOND])
    (log,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    offline_runs(tmp_path)
    log.with_name(f"{log.name}.synced").touch()
    follow(make(Recorder()), run, [THIRD], history=[FIRST, SECOND])
    before, after = offline_runs(tmp_path)
    assert [row["step"] for row in before["history"] + after["history"]] == [0, 1, 2]


@reads_offline_runs
@pytest.mark.filterwarnings("ignore:unclosed file")  # the reader's
def test_epochs_are_logged_once(tmp_path: Path) -> None:
    """Also where the process that trained one died before it could."""
    rows: list[dict[str, float | None]] = [
        {"epoch": 0, "lr": None, "top1": 90.0},
        {"epoch": 1, "lr": 0.1, "top1": 91.0},
        {"epoch": 2, "lr": 0.05, "top1": 92.0},
    ]
    first = make(Recorder())
    first.start(run_info(tmp_path), [])
    first.epoch(rows[0], True)
    first.finish("KeyboardInterrupt")
    display = Recorder()
    second = make(display)
    second.start(run_info(tmp_path), [])
    for row in rows:
        second.epoch(row, row["epoch"] == 2)
    second.finish(None)
    logged = [row for run in offline_runs(tmp_path) for row in run["history"]]
    assert [(row["step"], row["_step"], row["top1"]) for row in logged] == [(0, 0, 90.0), (1, 1, 91.0), (2, 2, 92.0)]
    assert "lr" not in logged[0]
    assert logged[2]["lr"] == 0.05
    assert display.calls == ["start", "epoch 0 False", "epoch 1 False", "epoch 2 True", "finish None"]


def test_job_type_and_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    given: dict[str, Any] = {}
    init = wandb.init

    def remember(**settings: Any) -> Any:
        given.update(settings)
        return init(**settings)

    monkeypatch.setattr(wandb, "init", remember)
    run = replace(run_info(tmp_path), tags=("digits", "extra", "x" * 100))
    tracker = make(Recorder())
    tracker.start(run, [])
    tracker.finish(None)
    assert given["job_type"] == "search"
    assert given["tags"] == ["digits", "extra", "x" * 64]
    assert wandb.run is None


def test_disabled_only_displays(tmp_path: Path) -> None:
    display = Recorder()
    tracker = make(display, mode="disabled")
    run = run_info(tmp_path)
    tracker.start(run, [])
    tracker.progress("evaluate", 1, 4, failed=1)
    tracker.step(FIRST, None)
    tracker.finish(None)
    assert display.calls == ["start", "progress evaluate 1/4 1", "step 0", "finish None"]
    assert list(tmp_path.iterdir()) == []


@reads_offline_runs
@pytest.mark.filterwarnings("ignore:unclosed file")  # the reader's
def test_a_failure_is_reported_once_and_costs_its_step_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = wandb_run.WandbRun.log

    def fails(self: wandb_run.WandbRun, summary: Any, picture: Any) -> None:
        if summary.step < 2:
            raise OSError(28, "No space left on device")
        log(self, summary, picture)

    monkeypatch.setattr(wandb_run.WandbRun, "log", fails)
    display = Recorder()
    follow(make(display), run_info(tmp_path), [FIRST, SECOND, THIRD])
    assert display.calls == ["start", "step 0", "step 1", "step 2", "finish None"]
    (run,) = offline_runs(tmp_path)
    assert [row["step"] for row in run["history"]] == [2]
    messages = [record.message for record in caplog.records if record.name.startswith("nas.tracker")]
    assert len(messages) == 2
    assert messages[0].startswith("Weights & Biases failed, the run goes on (OSError: [Errno 28]")
    assert f"task=replay run={tmp_path} tracker=wandb tracker.mode=offline" in messages[1]


def test_no_call_waits_for_a_service_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    attempts, answered, given_up = [], [], threading.Event()

    def hangs(*_: Any) -> None:
        attempts.append(1)
        given_up.wait(60)
        answered.append(1)
        raise TimeoutError("no answer")

    monkeypatch.setattr(wandb_run, "_opened", hangs)
    monkeypatch.setattr(wandb, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(wandb, "POLL_SECONDS", 0.01)
    tracker = make(Recorder(), mode="online", timeout=1.0)
    tracker.start(run_info(tmp_path), [FIRST])
    tracker.step(SECOND, tmp_path / "absent.png")
    assert answered == []  # both calls are back, and nobody has answered
    given_up.set()
    until(lambda: len(attempts) >= 3, every=0.01)
    tracker.finish(None)
    with caplog.at_level(logging.WARNING):
        assert [r.message.split(" (")[0].split(";")[0] for r in caplog.records if r.name == "nas.tracker.wandb"] == [
            "Weights & Biases failed, the run goes on",
            "Weights & Biases did not get every step",
        ]


FOLDERS = ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR", "NETRC", "XDG_CACHE_HOME", "XDG_DATA_HOME")


@pytest.mark.parametrize(
    ("home", "named"),
    [
        ("here", set()),
        ("read-only", {"WANDB_CACHE_DIR", "WANDB_DATA_DIR"}),
        (None, set(FOLDERS) - {"WANDB_CACHE_DIR", "WANDB_DATA_DIR"}),
    ],
)
def test_a_home_folder_that_cannot_be_used_is_replaced(
    home: str | None, named: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in FOLDERS:
        monkeypatch.setenv(name, "restored afterwards")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    if home is None:
        monkeypatch.setattr(Path, "home", no_home)
    if home == "read-only":
        monkeypatch.setattr(wandb_run, "can_be_written", lambda folder: False)
    wandb_run.use_own_folders(tmp_path / "run" / "wandb" / "home")
    assert {name for name in FOLDERS if name in os.environ} == named
    assert all(os.environ[name].startswith(str(tmp_path / "run")) for name in named)
