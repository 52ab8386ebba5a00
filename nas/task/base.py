"""Tasks: what one command does, from settings to results."""

from abc import ABC, abstractmethod
from typing import ClassVar


class Task(ABC):
    """One command. It is made from an :class:`nas.experiment.Experiment`.

    Attributes:
        has_run_folder: Whether results and status are in a folder of its own, so that a sweep can go on with it.
        needs_parts: Whether it looks at the parts of a run; checks of their settings load them, which takes seconds.
    """

    has_run_folder: ClassVar[bool] = False
    needs_parts: ClassVar[bool] = True

    @abstractmethod
    def check(self) -> None:
        """Find everything that is wrong before any work starts, and write nothing.

        Raises:
            UserError: With one line that says what is wrong and what would be right.
        """

    @abstractmethod
    def run(self) -> str:
        """Do it, and return what to tell the user at the end."""
