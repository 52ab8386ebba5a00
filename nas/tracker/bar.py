"""Tracker with a progress bar, on a terminal or in a notebook."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from nas.run.results import StepSummary
from nas.tracker.base import RunInfo, Tracker, harmless


@final
class BarTracker(Tracker):
    """Tracker that shows evaluations, hypervolume and the current activity as one tqdm bar.

    Example:
        >>> tracker = BarTracker()
        >>> tracker.progress("training", 1, 2)  # nothing is shown before the run starts
    """

    def __init__(self) -> None:
        """Create the tracker; tqdm detects a terminal or a notebook itself."""
        self._bar: Any = None

    @harmless
    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        """Show the bar, starting at the number of evaluations of earlier processes."""
        from tqdm.auto import tqdm

        self._bar = tqdm(total=run.evaluations, desc=run.name, unit=" evaluations")
        if history:
            self._show(history[-1])

    @harmless
    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        """Show the name of the activity."""
        if self._bar is not None:
            self._bar.set_description_str(f"{what} {done}/{total}", refresh=True)

    @harmless
    def step(self, summary: StepSummary, picture: Path | None) -> None:
        """Move the bar to the number of evaluations after the step."""
        self._show(summary)

    @harmless
    def finish(self, error: str | None) -> None:
        """Close the bar; its last state stays visible."""
        if self._bar is not None:
            self._bar.close()

    def _show(self, summary: StepSummary) -> None:
        self._bar.set_postfix_str(f"hypervolume {summary.hypervolume:.4f}, front {summary.front_size}", refresh=False)
        self._bar.n = summary.evaluations
        self._bar.refresh()
