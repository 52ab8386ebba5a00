"""Runs for tests of Weights & Biases: what is logged, and what offline folders and a stand-in for the server hold."""

import importlib.util
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest
from PIL import Image

from nas.run.box import Box
from nas.run.results import StepSummary
from nas.tracker.base import RunInfo, Tracker
from nas.tracker.wandb import WandbTracker
from nas.types import Measure

TOOLS = Path(__file__).parents[3] / "shared" / "tools"
reads_offline_runs = pytest.mark.skipif(
    not (TOOLS / "read_wandb_offline.py").exists(), reason="needs ../shared/tools/read_wandb_offline.py"
)
has_server = pytest.mark.skipif(
    not (TOOLS / "wandb_loopback.py").exists(), reason="needs ../shared/tools/wandb_loopback.py"
)

BOX = Box((90.0, 1.01), (0.0, 0.125), "space")
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
    box=BOX,
)
SECOND = replace(FIRST, step=1, evaluations=14, hypervolume=0.625, rmse=0.4, rho=0.9, tau=0.75, tau_archive=0.95)
SECOND = replace(SECOND, parts={"flops": 0.5, "tiny_error": None})
THIRD = replace(SECOND, step=2, evaluations=18, hypervolume=0.75)


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

    def epoch(self, row: Mapping[str, float | None], new: bool) -> None:
        self.calls.append(f"epoch {row['epoch']} {new}")

    def outcome(self, values: Mapping[str, float]) -> None:
        self.calls.append(f"outcome {dict(values)}")

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
        about={"data": "digits"},
        revision="abc-dirty",
    )


def make(
    display: Tracker, mode: Literal["offline", "online", "disabled"] = "offline", timeout: float = 60.0
) -> WandbTracker:
    return WandbTracker(mode=mode, project="demo", entity=None, tags=("extra",), timeout=timeout, display=display)


def follow(
    tracker: Tracker,
    run: RunInfo,
    new: Sequence[StepSummary],
    *,
    history: Sequence[StepSummary] = (),
    error: str | None = None,
    outcome: Mapping[str, float] | None = None,
) -> None:
    picture = run.folder / "front.png"
    Image.new("RGB", (4, 3), "red").save(picture)
    tracker.start(run, history)
    for summary in new:
        tracker.step(summary, picture)
    if outcome is not None:
        tracker.outcome(outcome)
    tracker.finish(error)


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def offline_runs(folder: Path, *, ended: bool = True) -> list[dict[str, Any]]:
    """What the offline runs below a run folder hold, in the order of their start.

    wandb's helper process may write the last bytes a moment after ``finish``: they are waited for.
    """
    reader = tool("read_wandb_offline")
    logs = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
    deadline = time.monotonic() + 60
    while True:
        found = [reader.load(str(path)) | {"files": path.parent / "files"} for path in logs]
        if not ended or all(run["exit"] is not None for run in found) or time.monotonic() > deadline:
            return found
        time.sleep(0.02)
