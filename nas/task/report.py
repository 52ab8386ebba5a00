"""``task=report``: many runs on one page, as tables and as figures for print."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import final

from nas.errors import ArchiveError, UserError
from nas.pool.naming import short_names
from nas.report.comparison import compare_runs
from nas.report.folder import check_place, write_report
from nas.report.runs import Run, find_runs, read_run
from nas.task.base import Setup, Task

log = logging.getLogger(__name__)

THREADS = 4
"""Run folders that are read at once."""


@final
class ReportTask(Task):
    """Reads run folders and writes a report; the folders stay as they are."""

    def __init__(self, *, setup: Setup, runs: str | tuple[str, ...], path: str) -> None:
        """Take what to report.

        Args:
            setup: what the command line says; ``reference_point``, ``ideal_point`` and ``paths.cache`` count.
            runs: run folders, folders that hold run folders, or globs of either.
            path: folder of the report; one that is there is replaced.
        """
        self._setup = setup
        self._patterns = [runs] if isinstance(runs, str) else list(runs)
        if not path.strip():
            raise UserError("path is empty; give a folder, for example path=outputs/report")
        self._path = Path(path).expanduser()

    def check(self) -> None:
        """Find the run folders."""
        folders = find_runs(self._patterns)
        check_place(self._path)
        inside = next(
            (folder for folder in folders if folder in (self._path.resolve(), *self._path.resolve().parents)), None
        )
        if inside is not None:
            raise UserError(f"path={self._path} is inside the run folder {inside}; give another folder")

    def run(self) -> str:
        """Read the runs, write the report, and say where it is."""
        folders = find_runs(self._patterns)
        runs, damaged = _read(folders)
        settings = self._setup.settings
        if not any(run.record is not None for run in runs):
            whole = "no run" if len(folders) > 1 else f"the run in {folders[0]}"
            reason = damaged[0] if damaged else f"{whole} has no complete step".replace("no run has no", "no run has a")
            raise UserError(f"runs: there is nothing to report: {reason}")
        comparisons = compare_runs(runs, settings.reference_point, settings.ideal_point)
        warnings = [f"Left out, damaged: {reason}" for reason in damaged]
        for line in warnings:
            log.warning("%s", line)
        write_report(self._path, runs, comparisons, warnings, self._setup.paths.cache)
        groups = sum(len(comparison.groups) for comparison in comparisons)
        files = ("index.html", "data", "figures")
        said = f"Report of {len(runs)} runs in {groups} groups" + (
            f", {len(damaged)} damaged left out" if damaged else ""
        )
        return "\n".join([said, "Open:", *(f"  {os.path.relpath(self._path / name)}" for name in files)])


def _read(folders: list[Path]) -> tuple[list[Run], list[str]]:
    """Return the runs that can be read, and what is wrong with the others."""

    def read(name: str, folder: Path) -> Run | str:
        try:
            return read_run(name, folder)
        except ArchiveError as error:
            return str(error)

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(read, short_names(folders, "runs"), folders))
    return [f for f in found if isinstance(f, Run)], [f for f in found if isinstance(f, str)]
