"""Base class for tasks."""

from abc import ABC, abstractmethod
from typing import ClassVar


class Task(ABC):
    """Base class for tasks. A task is one command; it is built from an :class:`nas.experiment.Experiment`.

    Attributes:
        has_run_folder: Whether the task keeps results and status in its own run folder. A sweep can resume only such
            tasks.
        needs_parts: Whether the task uses the parts of a run. If so, the check of the settings imports the parts'
            classes, which takes seconds.

    Example:
        >>> class CountTask(Task):
        ...     def check(self): ...
        ...     def run(self):
        ...         return "3 runs"
        >>> CountTask().run()
        '3 runs'
    """

    has_run_folder: ClassVar[bool] = False
    needs_parts: ClassVar[bool] = True

    @abstractmethod
    def check(self) -> None:
        """Check everything that can be checked before any work starts; write nothing.

        Raises:
            UserError: With one line that names the error and a correct setting.
        """

    @abstractmethod
    def run(self) -> str:
        """Run the task and return the text that is printed at the end."""
