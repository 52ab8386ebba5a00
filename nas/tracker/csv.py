"""Tracker that writes the steps of a run as a CSV table."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import final

from nas.files import write_text
from nas.run.results import StepSummary
from nas.tracker.base import ACTIVITIES, RunInfo, Tracker, harmless

QUALITY = ("rmse", "rho", "tau", "rmse_archive", "rho_archive", "tau_archive")


@final
class CsvTracker(Tracker):
    """Tracker that writes ``metrics.csv`` into the run folder: a header and one row per step.

    The columns are ``step``, ``evaluations``, ``failed``, ``hypervolume``, ``front_size``, ``best_<objective>``,
    ``rmse``, ``rho``, ``tau``, the same three with ``_archive``, ``rho_<part>`` for surrogates with parts,
    ``seconds_<activity>``, and the corners of the hypervolume box, ``reference_<objective>`` and
    ``ideal_<objective>``. Units are those of ``StepSummary``. A missing value is an empty cell. Each step replaces
    the file in an atomic write, so that it never contains a partial row.

    Example:
        >>> tracker = CsvTracker()
        >>> tracker.progress("evaluating step 0", 1, 8)  # progress is not recorded
    """

    def __init__(self) -> None:
        """Create the tracker; it has no settings."""
        self._steps: list[StepSummary] = []

    @harmless
    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        """Write the rows of the steps of earlier processes."""
        self._path = run.folder / "metrics.csv"
        self._names = [objective.name for objective in run.objectives]
        self._steps = list(history)
        self._write()

    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        """Do nothing: the table has complete steps only."""

    @harmless
    def step(self, summary: StepSummary, picture: Path | None) -> None:
        """Add the step's row."""
        self._steps.append(summary)
        self._write()

    def finish(self, error: str | None) -> None:
        """Do nothing: all rows are already on disk."""

    def _write(self) -> None:
        others = dict.fromkeys(name for summary in self._steps for name in summary.seconds)
        activities = list(dict.fromkeys((*ACTIVITIES, *others)))
        parts = list(dict.fromkeys(name for summary in self._steps for name in summary.parts))
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(
            ["step", "evaluations", "failed", "hypervolume", "front_size"]
            + [f"best_{name}" for name in self._names]
            + [*QUALITY]
            + [f"rho_{name}" for name in parts]
            + [f"seconds_{name}" for name in activities]
            + [f"{corner}_{name}" for corner in ("reference", "ideal") for name in self._names]
        )
        for s in self._steps:
            seconds = [f"{s.seconds[name]:.3f}" if name in s.seconds else None for name in activities]
            row = [s.step, s.evaluations, s.failed, s.hypervolume, s.front_size, *s.best]
            quality = [*(getattr(s, name) for name in QUALITY), *(s.parts.get(name) for name in parts)]
            table.writerow([*row, *quality, *seconds, *s.box.reference, *s.box.ideal])
        write_text(self._path, text.getvalue())
