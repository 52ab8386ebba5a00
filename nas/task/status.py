"""``task=status``: what the runs of a sweep are doing."""

from typing import final

from nas.errors import UserError, unknown
from nas.files import expanded
from nas.sweep import SweepFolder, table
from nas.task.base import Setup, Task
from nas.tracker.console import terminal_width


@final
class StatusTask(Task):
    """Prints a table of all runs of a sweep, from what their folders say; it changes nothing."""

    needs_parts = False

    def __init__(self, *, setup: Setup, sweep: str) -> None:
        """Take which sweep.

        Args:
            setup: what the command line says; only ``paths.outputs`` counts.
            sweep: the sweep's folder, or its name in ``sweeps`` below ``paths.outputs``.
        """
        self._sweeps = setup.paths.outputs / "sweeps"
        self._name = sweep

    def check(self) -> None:
        """Find the sweep."""
        self._found().rows()

    def run(self) -> str:
        """Return the table."""
        return table(self._found().rows(), terminal_width())

    def _found(self) -> SweepFolder:
        names = sorted(path.parent.name for path in self._sweeps.glob("*/sweep.json"))
        if self._name in names:
            return SweepFolder(self._sweeps / self._name)
        folder = expanded(self._name, "sweep")
        if folder.is_dir():
            return SweepFolder(folder)
        if not names:
            raise UserError(f"sweep={self._name} is no folder, and there is no sweep in {self._sweeps}")
        raise unknown("sweep", self._name, names)
