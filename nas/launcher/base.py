"""Base class for launchers, which start the runs of a sweep."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from nas.sweep import PlannedRun, SweepFolder


class Launcher(ABC):
    """Starts runs, each as a process of its own, so that one that crashes takes nobody with it."""

    @abstractmethod
    def check(self) -> None:
        """Raise UserError if runs cannot be started here."""

    @abstractmethod
    def launch(self, sweep: SweepFolder, runs: Sequence[PlannedRun]) -> str:
        """Start runs, or put them into a queue, and return one line that says so.

        It may return before they end. While it works, the sweep's folder is held.

        Raises:
            RunError: If they cannot be started.
        """

    @abstractmethod
    def wait(self, sweep: SweepFolder) -> None:
        """Return when no run of the sweep is under way any more."""

    @abstractmethod
    def detach(self, sweep: SweepFolder, runs: Sequence[PlannedRun], command: Sequence[str]) -> str:
        """Start runs so that they go on without this process and its terminal; return one line that says so.

        Args:
            sweep: Whose runs they are.
            runs: To start.
            command: This process's own, without ``detach``.
        """
