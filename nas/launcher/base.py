"""Base class for launchers, which start the runs of a sweep."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from nas.sweep import PlannedRun, SweepFolder


class Launcher(ABC):
    """Base class for launchers. A launcher starts each run as a separate process, so that a crash affects one run only.

    Example:
        >>> class Printer(Launcher):
        ...     def check(self): ...
        ...     def launch(self, sweep, runs):
        ...         return f"{len(runs)} runs started"
        ...     def wait(self, sweep): ...
        ...     def detach(self, sweep, runs, command): ...
        >>> Printer().launch(None, [])
        '0 runs started'
    """

    @abstractmethod
    def check(self) -> None:
        """Check that runs can be started on this machine.

        Raises:
            UserError: If they cannot.
        """

    @abstractmethod
    def launch(self, sweep: SweepFolder, runs: Sequence[PlannedRun]) -> str:
        """Start runs or put them into a queue; return one line that says what was started.

        The method may return before the runs end. The caller holds the lease of the sweep's folder meanwhile.

        Args:
            sweep: Folder of the sweep.
            runs: Runs to start.

        Raises:
            RunError: If the runs cannot be started.
        """

    @abstractmethod
    def wait(self, sweep: SweepFolder) -> None:
        """Wait until no run of the sweep is running or queued."""

    @abstractmethod
    def detach(self, sweep: SweepFolder, runs: Sequence[PlannedRun], command: Sequence[str]) -> str:
        """Start runs that continue without this process and its terminal; return one line that says so.

        Args:
            sweep: Folder of the sweep.
            runs: Runs to start.
            command: Command line of this process without ``detach``.
        """
