"""``task=status``: what the runs of a sweep are doing."""

from typing import final

from nas.sweep import find_sweep, table
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
            sweep: the sweep's folder, its name in ``sweeps`` below ``paths.outputs`` with or without the digits at its
                end, or the file of settings that it was started with.
        """
        self._sweeps = setup.paths.outputs / "sweeps"
        self._name = sweep

    def check(self) -> None:
        """Find the sweep."""
        find_sweep(self._name, self._sweeps).rows()

    def run(self) -> str:
        """Return the table."""
        return table(find_sweep(self._name, self._sweeps).rows(), terminal_width())
