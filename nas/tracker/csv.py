"""The steps of a run as a table that spreadsheets and scripts read."""

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
    """Tracker that writes ``metrics.csv`` into the run folder: a header and one row a step.

    The columns are ``step``, ``evaluations``, ``failed``, ``hypervolume``, ``front_size``, ``best_<objective>``,
    ``rmse``, ``rho``, ``tau``, the same with ``_archive``, ``rho_<part>`` where the surrogate has parts,
    ``seconds_<activity>``, and the corners of the hypervolume's box, ``reference_<objective>`` and
    ``ideal_<objective>``, in the units of ``StepSummary``; a value that does not exist is an empty cell. The file is
    replaced as a whole at every step, so that it is never half a row.

    Example:
        >>> tracker = CsvTracker()
        >>> tracker.progress("evaluating step 0", 1, 8)  # progress is not recorded
    """

    def __init__(self) -> None:
        """There is nothing to set."""
        self._steps: list[StepSummary] = []

    @harmless
    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        """Write the steps of earlier processes."""
        self._path = run.folder / "metrics.csv"
        self._names = [objective.name for objective in run.objectives]
        self._steps = list(history)
        self._write()

    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        """Not recorded."""

    @harmless
    def step(self, summary: StepSummary, picture: Path | None) -> None:
        """Add the step's row."""
        self._steps.append(summary)
        self._write()

    def finish(self, error: str | None) -> None:
        """Everything is on disk already."""

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
