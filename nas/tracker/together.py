"""Tracker that combines several trackers, and one that measures their time."""

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
    """Tracker that passes every call to several trackers, in order.

    Example:
        >>> from nas.tracker.csv import CsvTracker
        >>> Together([CsvTracker(), log_tracker()]).progress("evaluating", 1, 8)
    """

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        """Set the trackers."""
        self._trackers = trackers

    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        """Start all trackers."""
        for tracker in self._trackers:
            tracker.start(run, history)

    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        """Pass the progress to all trackers."""
        for tracker in self._trackers:
            tracker.progress(what, done, total, failed)

    def step(self, summary: StepSummary, picture: Path | None) -> None:
        """Pass the step to all trackers."""
        for tracker in self._trackers:
            tracker.step(summary, picture)

    def epoch(self, row: Mapping[str, float | None], new: bool) -> None:
        """Pass the epoch to all trackers."""
        for tracker in self._trackers:
            tracker.epoch(row, new)

    def outcome(self, values: Mapping[str, float]) -> None:
        """Pass the outcome to all trackers."""
        for tracker in self._trackers:
            tracker.outcome(values)

    def finish(self, error: str | None) -> None:
        """Finish all trackers and add up their background seconds."""
        for tracker in self._trackers:
            tracker.finish(error)
        self.background_seconds = sum(tracker.background_seconds for tracker in self._trackers)


@final
class Timed(Tracker):
    """Tracker that passes every call to another tracker and measures how long the run waits for it."""

    def __init__(self, tracker: Tracker) -> None:
        """Set the tracker and start the clock."""
        self._tracker = tracker
        self._seconds = 0.0
        self._began = perf_counter()

    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        """Start the tracker."""
        self._timed(lambda: self._tracker.start(run, history))

    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        """Pass the progress on."""
        self._timed(lambda: self._tracker.progress(what, done, total, failed))

    def step(self, summary: StepSummary, picture: Path | None) -> None:
        """Pass the step on."""
        self._timed(lambda: self._tracker.step(summary, picture))

    def epoch(self, row: Mapping[str, float | None], new: bool) -> None:
        """Pass the epoch on."""
        self._timed(lambda: self._tracker.epoch(row, new))

    def outcome(self, values: Mapping[str, float]) -> None:
        """Pass the outcome on."""
        self._timed(lambda: self._tracker.outcome(values))

    def finish(self, error: str | None) -> None:
        """Finish the tracker and stop the clock."""
        self._timed(lambda: self._tracker.finish(error))
        self._whole = perf_counter() - self._began

    def conclusion(self) -> str:
        """Return a line with the seconds that tracking took. Call it after :meth:`finish`."""
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
"""Minimum seconds between two lines about one activity."""

log = logging.getLogger(__name__)


@final
class _LogLines(io.StringIO):
    """Text stream that writes its lines to the log."""

    def write(self, text: str) -> int:
        """Log the text unless it is blank."""
        if text.strip():
            log.info("%s", text.rstrip())
        return len(text)


def log_tracker() -> ConsoleTracker:
    """Return a tracker that writes the plain lines of :class:`ConsoleTracker` to the log."""
    return ConsoleTracker(refresh_per_second=1.0, line_seconds=LINE_SECONDS, line_share=0.1, stream=_LogLines())
