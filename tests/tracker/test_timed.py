import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from nas.tracker.base import RunInfo, StepSummary, Tracker
from nas.tracker.timed import Timed
from tests.tracker.wandb_runs import run_info


class Slow(Tracker):
    """Takes 20 ms to start and 30 ms to end, and says that it did more beside."""

    def __init__(self, beside: float) -> None:
        self._beside = beside

    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        time.sleep(0.02)

    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        pass

    def step(self, summary: StepSummary, picture: Path | None) -> None:
        pass

    def epoch(self, row: Mapping[str, float | None], new: bool) -> None:
        raise OSError("full")

    def finish(self, error: str | None) -> None:
        time.sleep(0.03)
        self.background_seconds = self._beside


@pytest.mark.parametrize(
    ("beside", "more"), [(0.0, r"\."), (1.25, r"; 1\.25 s of computing went on beside it\.")], ids=["alone", "beside"]
)
def test_what_the_run_waits_for_and_what_goes_on_beside_it(beside, more, tmp_path):
    tracker = Timed(Slow(beside))
    tracker.start(run_info(tmp_path), [])
    time.sleep(0.05)
    with pytest.raises(OSError, match="full"):
        tracker.epoch({}, True)
    tracker.finish(None)
    line = re.fullmatch(rf"Tracking: the run waited ([\d.]+) s, ([\d.]+) % of it{more}", tracker.conclusion())
    assert line is not None, tracker.conclusion()
    seconds, percent = float(line[1]), float(line[2])
    assert 0.05 <= seconds < 100 and 0 < percent < 100
