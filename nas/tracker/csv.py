"""The steps of a run as a table that spreadsheets and scripts read."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import final

from nas.files import write_text
from nas.tracker.base import RunInfo, StepSummary, Tracker, harmless

ACTIVITIES = ("search", "train", "evaluate")


@final
class CsvTracker(Tracker):
    """Writes ``metrics.csv`` into the run folder: a header and one row a step.

    The columns are ``step``, ``evaluations``, ``failed``, ``hypervolume``, ``front_size``, ``best_<objective>``,
    ``rmse``, ``rho``, ``tau`` and ``seconds_<activity>``, in the units of ``StepSummary``; a value that does not
    exist is an empty cell. The file is replaced as a whole at every step, so that it is never half a row.
    """

    def __init__(self) -> None:
        """There is nothing to set."""
        self._steps: list[StepSummary] = []

    @harmless
    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        """Write the steps of earlier processes; times that ``history`` lacks are taken from the file itself."""
        self._path = run.folder / "metrics.csv"
        self._names = [objective.name for objective in run.objectives]
        self._steps = list(history)
        written = _written_seconds(self._path)
        self._steps = [s if s.seconds else replace(s, seconds=written.get(s.step, {})) for s in history]
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
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(
            ["step", "evaluations", "failed", "hypervolume", "front_size"]
            + [f"best_{name}" for name in self._names]
            + ["rmse", "rho", "tau"]
            + [f"seconds_{name}" for name in activities]
        )
        for s in self._steps:
            seconds = [f"{s.seconds[name]:.3f}" if name in s.seconds else None for name in activities]
            row = [s.step, s.evaluations, s.failed, s.hypervolume, s.front_size, *s.best, s.rmse, s.rho, s.tau]
            table.writerow(row + seconds)
        write_text(self._path, text.getvalue())


def _written_seconds(path: Path) -> dict[int, Mapping[str, float]]:
    """Return the seconds by activity of each step in the file; nothing where there is no file."""
    if not path.exists():
        return {}
    prefix = "seconds_"
    return {
        int(row["step"]): {
            column.removeprefix(prefix): float(cell)
            for column, cell in row.items()
            if column.startswith(prefix) and cell
        }
        for row in csv.DictReader(io.StringIO(path.read_text()))
    }
