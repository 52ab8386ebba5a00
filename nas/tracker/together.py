"""Several trackers as one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

from nas.tracker.base import RunInfo, StepSummary, Tracker


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
