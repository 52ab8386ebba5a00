"""``task=status``: table of the states of a sweep's runs."""

from typing import final

from nas.experiment import Experiment
from nas.sweep import find_sweep, table
from nas.task.base import Task
from nas.tracker.console import terminal_width


@final
class StatusTask(Task):
    """Task that prints a table of all runs of a sweep. It reads the run folders and changes nothing.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from nas.cli.compose import experiment_of
        >>> from nas.sweep import PlannedRun, SweepFolder
        >>> with tempfile.TemporaryDirectory() as place:
        ...     folder = Path(place)
        ...     run = PlannedRun("seed=0", folder / "run", ("nas", "seed=0"), folder)
        ...     SweepFolder(folder / "sweep").begin("local", [run], {})
        ...     print(experiment_of(["task=status", f"sweep={folder / 'sweep'}"]).part("task").run())
        run     state
        seed=0  new
        1 runs: 1 new
    """

    needs_parts = False

    def __init__(self, *, experiment: Experiment, sweep: str) -> None:
        """Set the sweep.

        Args:
            experiment: Experiment of the command line. Only ``paths.outputs`` is used.
            sweep: Folder of the sweep, its name in ``sweeps`` below ``paths.outputs`` with or without the final digits,
                or the settings file that the sweep was started with.
        """
        self._sweeps = experiment.paths.outputs / "sweeps"
        self._name = sweep

    def check(self) -> None:
        """Find the sweep.

        Raises:
            UserError: If there is no such sweep, or several match.
        """
        find_sweep(self._name, self._sweeps).rows()

    def run(self) -> str:
        """Return the table."""
        return table(find_sweep(self._name, self._sweeps).rows(), terminal_width())
