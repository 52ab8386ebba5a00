"""``task=report``: a page with many runs, and the same as tables and figures for print."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, final

from nas.errors import ArchiveError, UserError, counted
from nas.experiment import Experiment
from nas.files import expanded
from nas.report.data.comparison import Comparison, compare_runs
from nas.report.data.runs import Run, find_runs, read_run
from nas.report.folder import check_place, write_report
from nas.report.papers.hypotheses import read_hypotheses
from nas.report.papers.papers import papers_of, printed_hypotheses
from nas.run.folder import short_names
from nas.task.base import Task

log = logging.getLogger(__name__)

THREADS = 4
"""Number of run folders that are read at the same time."""


@final
class ReportTask(Task):
    """Task that reads run folders and writes a report. The run folders stay unchanged.

    Example:
        >>> from nas.cli.compose import experiment_of
        >>> task = experiment_of(["task=report", "runs=[outputs/none]"]).part("task")
        >>> task.check()
        Traceback (most recent call last):
        nas.errors.UserError: ...
    """

    def __init__(
        self,
        *,
        experiment: Experiment,
        runs: str | tuple[str, ...],
        path: str = "outputs/report",
        hypotheses: str = "papers",
        published: bool = True,
        together: bool = False,
    ) -> None:
        """Set the runs and the content of the report.

        Args:
            experiment: Experiment of the command line. Only ``reference_point``, ``ideal_point``, ``paths.cache`` and
                ``allow`` are used.
            runs: Run folders, folders that hold run folders, or globs of either.
            path: Folder of the report; an existing report is replaced.
            hypotheses: Hypotheses to test: ``papers``, ``none``, or a YAML file like
                ``nas/report/papers/hypotheses.yaml``.
            published: Whether published networks of other methods are shown beside fronts on the same images.
            together: Whether all groups on the same images are one experiment, whose tests are corrected together.
        """
        self._experiment = experiment
        self._patterns = [runs] if isinstance(runs, str) else list(runs)
        if not path.strip():
            raise UserError("path is empty; give a folder, for example path=outputs/report")
        self._path = expanded(path, "path")
        self._hypotheses = hypotheses
        self._published, self._together = published, together

    def check(self) -> None:
        """Read the runs; check that they can be compared and that the report can be written.

        Raises:
            UserError: If no run has a complete step, the runs cannot be compared, or ``path`` is not usable.
        """
        check_place(self._path)
        read_hypotheses(self._hypotheses)
        place = self._path.resolve()
        inside = next((folder for folder in find_runs(self._patterns) if folder in (place, *place.parents)), None)
        if inside is not None:
            raise UserError(f"path={self._path} is inside the run folder {inside}; give another folder")
        self._compared()

    def _compared(self) -> tuple[list[Run], list[Comparison], list[str]]:
        """Return the runs, their comparisons, and the error messages of the damaged ones."""
        folders = find_runs(self._patterns)
        runs, damaged = _read(tuple((folder, _stamp(folder)) for folder in folders))
        if not any(run.record is not None for run in runs):
            reason = "no run has a complete step" if len(folders) > 1 else f"{folders[0]} has no complete step"
            raise UserError(f"runs: there is nothing to report: {damaged[0] if damaged else reason}")
        settings = self._experiment.settings
        return runs, compare_runs(runs, settings.reference_point, settings.ideal_point), damaged

    def run(self) -> str:
        """Write the report and return the paths of its files."""
        runs, comparisons, damaged = self._compared()
        warnings = [f"Left out, damaged: {reason}" for reason in damaged]
        for line in warnings:
            log.warning("%s", line)
        papers = papers_of(comparisons, self._hypotheses, self._published, self._together)
        places: dict[str, Any] = {"cache": self._experiment.paths.cache, "allowed": self._experiment.allowed}
        write_report(self._path, runs, comparisons, papers=papers, warnings=warnings, **places)
        groups = sum(len(comparison.groups) for comparison in comparisons)
        files = ("index.html", "data", "figures")
        said = f"Report of {counted(len(runs), 'run')} in {counted(groups, 'group')}" + (
            f", {len(damaged)} damaged left out" if damaged else ""
        )
        opened = [f"  {os.path.relpath(self._path / name)}" for name in files]
        return "\n".join([*printed_hypotheses(papers), said, "Open:", *opened])


def _stamp(folder: Path) -> tuple[tuple[int, int], ...]:
    """Return the sizes and modification times of a run's files, the key of the cache of read runs."""
    paths = [folder / name for name in ("archive.jsonl", "config.yaml", "front.json", "status.json", "times.jsonl")]
    return tuple((path.stat().st_size, path.stat().st_mtime_ns) for path in paths if path.exists())


@lru_cache(maxsize=1)  # check() and run() both read the runs
def _read(folders: tuple[tuple[Path, object], ...]) -> tuple[list[Run], list[str]]:
    """Return the runs that can be read, and the error messages of the others.

    Args:
        folders: Run folders, each with the stamp of its content.
    """

    def read(name: str, folder: Path) -> Run | str:
        try:
            return read_run(name, folder)
        except ArchiveError as error:
            return str(error)

    places = [folder for folder, _ in folders]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(read, short_names(places, "runs"), places))
    return [f for f in found if isinstance(f, Run)], [f for f in found if isinstance(f, str)]
