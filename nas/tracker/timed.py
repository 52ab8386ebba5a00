"""What tracking costs a run."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import final

from nas.tracker.base import RunInfo, StepSummary, Tracker


@final
class Timed(Tracker):
    """Passes every call on and measures how long the run waits for it, and what is computed beside the calls."""

    def __init__(self, tracker: Tracker) -> None:
        """Take the tracker."""
        self._tracker = tracker
        self._seconds = 0.0
        self._began = perf_counter()

    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        """Start it."""
        self._timed(lambda: self._tracker.start(run, history))

    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        """Tell it."""
        self._timed(lambda: self._tracker.progress(what, done, total, failed))

    def step(self, summary: StepSummary, picture: Path | None) -> None:
        """Tell it."""
        self._timed(lambda: self._tracker.step(summary, picture))

    def epoch(self, row: Mapping[str, float | None], new: bool) -> None:
        """Tell it."""
        self._timed(lambda: self._tracker.epoch(row, new))

    def outcome(self, values: Mapping[str, float]) -> None:
        """Tell it."""
        self._timed(lambda: self._tracker.outcome(values))

    def finish(self, error: str | None) -> None:
        """Finish it."""
        self._timed(lambda: self._tracker.finish(error))
        self._whole = perf_counter() - self._began

    def conclusion(self) -> str:
        """Return what tracking took, as a line; after :meth:`finish`."""
        beside = self._tracker.background_seconds
        percent = 100 * self._seconds / max(self._whole, 1e-9)
        return f"Tracking: the run waited {self._seconds:.2f} s, {percent:.2f} % of it" + (
            f"; {beside:.2f} s of computing went on beside it." if beside else "."
        )

    def _timed(self, call: Callable[[], None]) -> None:
        began = perf_counter()
        try:
            call()
        finally:
            self._seconds += perf_counter() - began
