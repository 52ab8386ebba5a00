import importlib.util
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from PIL import Image

from nas.tracker.base import RunInfo, StepSummary, Tracker
from nas.tracker.wandb import WandbTracker
from nas.types import Measure

READER = Path(__file__).parents[3] / "shared" / "tools" / "read_wandb_offline.py"
reads_offline_runs = pytest.mark.skipif(
    not READER.exists(), reason="needs ../shared/tools/read_wandb_offline.py, beside the repository"
)

FRONT = [
    {"architecture": {"ks": [3, 5], "r": 8}, "step": 0, "objectives": {"top1_error": 1.5, "flops": 0.25}},
    {"architecture": {"ks": [3, 3], "r": 8}, "step": 0, "objectives": {"top1_error": 4.0, "flops": 0.125}},
]
FIRST = StepSummary(
    step=0,
    evaluations=10,
    failed=1,
    hypervolume=0.5,
    front_size=2,
    best=(1.5, 0.125),
    rmse=None,
    rho=None,
    tau=None,
    rmse_archive=None,
    rho_archive=None,
    tau_archive=None,
    parts={},
    seconds={"evaluate": 2.0},
    front=FRONT,
)
SECOND = replace(FIRST, step=1, evaluations=14, hypervolume=0.625, rmse=0.4, rho=0.9, tau=0.75, tau_archive=0.95)


class Recorder(Tracker):
    """Remembers the calls that reach the display."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        self.calls.append("start")

    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        self.calls.append(f"progress {what} {done}/{total} {failed}")

    def step(self, summary: StepSummary, picture: Path | None) -> None:
        self.calls.append(f"step {summary.step}")

    def finish(self, error: str | None) -> None:
        self.calls.append(f"finish {error}")


def run_info(folder: Path, seed: int = 0) -> RunInfo:
    folder.mkdir(parents=True, exist_ok=True)
    return RunInfo(
        folder=folder,
        id=f"id{seed}",
        group="digits-tiny",
        name=f"digits-tiny-{seed}",
        task="search",
        tags=("digits", "tiny"),
        config={"seed": seed, "algorithm": {"iterations": 2}},
        objectives=[Measure("top1_error", "%"), Measure("flops", "MFLOPs")],
        steps=3,
        evaluations=18,
    )


def make(display: Tracker, mode: Literal["offline", "online", "disabled"] = "offline") -> WandbTracker:
    return WandbTracker(mode=mode, project="demo", entity=None, tags=("extra",), timeout=5.0, display=display)


def follow(
    tracker: WandbTracker,
    run: RunInfo,
    new: Sequence[StepSummary],
    *,
    history: Sequence[StepSummary] = (),
    error: str | None = None,
) -> None:
    picture = run.folder / "front.png"
    Image.new("RGB", (4, 3), "red").save(picture)
    tracker.start(run, history)
    for summary in new:
        tracker.step(summary, picture)
    tracker.finish(error)


def offline_runs(folder: Path) -> list[dict[str, Any]]:
    """What the offline runs below a run folder hold, in the order of their start.

    wandb's helper process may write the last bytes a moment after ``finish``: they are waited for.
    """
    spec = importlib.util.spec_from_file_location("read_wandb_offline", READER)
    assert spec is not None and spec.loader is not None
    reader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reader)
    logs = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
    deadline = time.monotonic() + 10
    while True:
        found = [reader.load(str(path)) | {"files": path.parent / "files"} for path in logs]
        if all(run["exit"] is not None for run in found) or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


@reads_offline_runs
@pytest.mark.filterwarnings("ignore:unclosed file")  # the reader's
def test_offline_run_holds_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_RUN_GROUP", "other")
    display = Recorder()
    follow(make(display), run_info(tmp_path), [FIRST, SECOND])
    (run,) = offline_runs(tmp_path)
    assert run["run"] == {"id": "id0", "name": "digits-tiny-0", "group": "digits-tiny", "project": "demo"}
    assert run["config"]["seed"] == 0
    assert run["config"]["algorithm"] == {"iterations": 2}
    assert run["exit"] == 0
    first, second = run["history"]
    assert (first["_step"], first["step"], first["evaluations"], first["failed"]) == (0, 0, 10, 1)
    assert "tau" not in first
    assert "tau_archive" not in first
    assert second["tau_archive"] == 0.95
    assert (second["_step"], second["hypervolume"], second["tau"], second["rmse"]) == (1, 0.625, 0.75, 0.4)
    assert (second["best/top1_error"], second["best/flops"], second["seconds/evaluate"]) == (1.5, 0.125, 2.0)
    assert run["summary"]["hypervolume"] == 0.625
    table = json.loads((run["files"] / second["front.path"]).read_text())
    assert table["columns"] == ["step", "top1_error", "flops", "architecture"]
    assert table["data"][0] == [0, 1.5, 0.25, '{"ks": [3, 5], "r": 8}']
    assert (run["files"] / second["front_picture.path"]).exists()
    assert display.calls == ["start", "step 0", "step 1", "finish None"]


@reads_offline_runs
@pytest.mark.filterwarnings("ignore:unclosed file")  # the reader's
def test_every_start_makes_its_own_run_and_a_resumed_one_keeps_its_id(tmp_path: Path) -> None:
    follow(make(Recorder()), run_info(tmp_path / "a", seed=0), [FIRST], error="KeyboardInterrupt")
    abandoned = make(Recorder())
    abandoned.start(run_info(tmp_path / "b", seed=1), [])
    follow(make(Recorder()), run_info(tmp_path / "a", seed=0), [SECOND], history=[FIRST])
    abandoned.finish("lost")

    (other,) = offline_runs(tmp_path / "b")
    assert (other["run"]["id"], other["history"], other["exit"]) == ("id1", [], 1)
    killed, resumed = offline_runs(tmp_path / "a")
    assert killed["run"] == resumed["run"]
    assert (killed["exit"], resumed["exit"]) == (1, 0)
    assert [row["step"] for row in killed["history"] + resumed["history"]] == [0, 1]
    assert [row["_step"] for row in killed["history"] + resumed["history"]] == [0, 1]


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


def test_unreachable_server_does_not_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    display = Recorder()
    tracker = WandbTracker(mode="online", project="demo", entity=None, tags=(), timeout=1.0, display=display)
    with caplog.at_level(logging.WARNING):
        follow(tracker, run_info(tmp_path), [FIRST, SECOND])
    assert display.calls == ["start", "step 0", "step 1", "finish None"]
    assert [record.message.split(" (")[0] for record in caplog.records if record.name == "nas.tracker.base"] == [
        "WandbTracker failed, the run goes on without it"
    ]


def test_failure_while_logging_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    display = Recorder()
    tracker = make(display)
    tracker.start(run_info(tmp_path), [])
    for summary in (FIRST, SECOND):
        tracker.step(summary, tmp_path / "absent.png")
    tracker.finish(None)
    assert display.calls == ["start", "step 0", "step 1", "finish None"]
    assert [record.name for record in caplog.records].count("nas.tracker.base") == 1
