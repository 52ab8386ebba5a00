from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from nas.run.results import StepSummary
from nas.tracker.base import RunInfo, Tracker
from nas.tracker.together import Timed
from tests.tracker.wandb_runs import run_info


class Clock:
    """A clock that moves only when somebody says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow(Tracker):
    """Takes 2 s to start, 1 s to fail and 3 s to end, and says that it did more beside."""

    def __init__(self, clock: Clock, beside: float) -> None:
        self._clock, self._beside = clock, beside

    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        self._clock.now += 2

    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        pass

    def step(self, summary: StepSummary, picture: Path | None) -> None:
        pass

    def epoch(self, row: Mapping[str, float | None], new: bool) -> None:
        self._clock.now += 1
        raise OSError("full")

    def finish(self, error: str | None) -> None:
        self._clock.now += 3
        self.background_seconds = self._beside


@pytest.mark.parametrize(
    ("beside", "more"), [(0.0, "."), (1.25, "; 1.25 s of computing went on beside it.")], ids=["alone", "beside"]
)
def test_what_the_run_waits_for_and_what_goes_on_beside_it(beside, more, tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("nas.tracker.together.perf_counter", clock)
    tracker = Timed(Slow(clock, beside))
    tracker.start(run_info(tmp_path), [])
    clock.now += 18
    with pytest.raises(OSError, match="full"):
        tracker.epoch({}, True)
    tracker.finish(None)
    assert tracker.conclusion() == f"Tracking: the run waited 6.00 s, 25.00 % of it{more}"
