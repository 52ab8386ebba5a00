"""Several trackers as one."""

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import final

from nas.run.results import StepSummary
from nas.tracker.base import RunInfo, Tracker
from nas.tracker.console import ConsoleTracker


@final
class Together(Tracker):
    """Passes every call on to all of its trackers, in order."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        """Take the trackers."""
        self._trackers = trackers

    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        """Start all."""
        for tracker in self._trackers:
            tracker.start(run, history)

    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        """Tell all."""
        for tracker in self._trackers:
            tracker.progress(what, done, total, failed)

    def step(self, summary: StepSummary, picture: Path | None) -> None:
        """Tell all."""
        for tracker in self._trackers:
            tracker.step(summary, picture)

    def epoch(self, row: Mapping[str, float | None], new: bool) -> None:
        """Tell all."""
        for tracker in self._trackers:
            tracker.epoch(row, new)

    def outcome(self, values: Mapping[str, float]) -> None:
        """Tell all."""
        for tracker in self._trackers:
            tracker.outcome(values)

    def finish(self, error: str | None) -> None:
        """Finish all."""
        for tracker in self._trackers:
            tracker.finish(error)
        self.background_seconds = sum(tracker.background_seconds for tracker in self._trackers)


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


LINE_SECONDS = 60.0
"""Between two lines about one activity, at least."""

log = logging.getLogger(__name__)


@final
class _LogLines(io.StringIO):
    """Text stream whose lines go into the log."""

    def write(self, text: str) -> int:
        """Log what is not blank."""
        if text.strip():
            log.info("%s", text.rstrip())
        return len(text)


def log_tracker() -> ConsoleTracker:
    """Return a tracker that writes into the log what a console without a terminal shows."""
    return ConsoleTracker(refresh_per_second=1.0, line_seconds=LINE_SECONDS, line_share=0.1, stream=_LogLines())
