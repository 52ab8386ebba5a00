"""``task=status``: what the runs of a sweep are doing."""

from typing import final

from nas.experiment import Experiment
from nas.sweep import find_sweep, table
from nas.task.base import Task
from nas.tracker.console import terminal_width


@final
class StatusTask(Task):
    """Task that prints a table of all runs of a sweep, read from their folders; it changes nothing.

    Example:
        >>> StatusTask.has_run_folder
        False
    """

    needs_parts = False

    def __init__(self, *, experiment: Experiment, sweep: str) -> None:
        """Take which sweep.

        Args:
            experiment: Experiment of the command line; only ``paths.outputs`` counts.
            sweep: Folder of the sweep, its name in ``sweeps`` below ``paths.outputs`` with or without the digits at its
                end, or the file of settings that it was started with.
        """
        self._sweeps = experiment.paths.outputs / "sweeps"
        self._name = sweep

    def check(self) -> None:
        """Find the sweep."""
        find_sweep(self._name, self._sweeps).rows()

    def run(self) -> str:
        """Return the table."""
        return table(find_sweep(self._name, self._sweeps).rows(), terminal_width())
