"""Tracker that calls a function after each step."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import final

from nas.run.results import StepSummary
from nas.tracker.base import RunInfo, Tracker


@final
class CallbackTracker(Tracker):
    """Tracker that calls a function with the summary of each step. An exception in the function ends the run.

    Example:
        >>> tracker = CallbackTracker(lambda summary: print(summary.step))
        >>> tracker.progress("evaluating", 1, 2)
    """

    def __init__(self, function: Callable[[StepSummary], None]) -> None:
        """Set the function.

        Args:
            function: Function of one step's summary.
        """
        self._function = function

    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        """Do nothing."""

    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        """Do nothing."""

    def step(self, summary: StepSummary, picture: Path | None) -> None:
        """Call the function."""
        self._function(summary)

    def finish(self, error: str | None) -> None:
        """Do nothing."""
