"""Progress bar, on a terminal or in a notebook."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from nas.run.results import StepSummary
from nas.tracker.base import RunInfo, Tracker, harmless


@final
class BarTracker(Tracker):
    """Shows evaluations, hypervolume and the activity under way as one bar of tqdm.

    Example:
        >>> tracker = BarTracker()
        >>> tracker.progress("training", 1, 2)  # nothing is shown before the run starts
    """

    def __init__(self) -> None:
        """Take nothing: tqdm finds out where it is shown."""
        self._bar: Any = None

    @harmless
    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        """Show the bar, at the evaluations of earlier processes."""
        from tqdm.auto import tqdm

        self._bar = tqdm(total=run.evaluations, desc=run.name, unit=" evaluations")
        if history:
            self._show(history[-1])

    @harmless
    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        """Name the activity."""
        if self._bar is not None:
            self._bar.set_description_str(f"{what} {done}/{total}", refresh=True)

    @harmless
    def step(self, summary: StepSummary, picture: Path | None) -> None:
        """Move the bar to the step's evaluations."""
        self._show(summary)

    @harmless
    def finish(self, error: str | None) -> None:
        """Close the bar; what it shows stays."""
        if self._bar is not None:
            self._bar.close()

    def _show(self, summary: StepSummary) -> None:
        self._bar.set_postfix_str(f"hypervolume {summary.hypervolume:.4f}, front {summary.front_size}", refresh=False)
        self._bar.n = summary.evaluations
        self._bar.refresh()
