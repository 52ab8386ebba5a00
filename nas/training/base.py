"""How a supernet gets its weights."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from nas.types import Batch

Progress = Callable[[str, int, int], None]
"""Told what is going on, how much of it is done, and how much there is."""


class Training(ABC):
    """Weights in, weights out."""

    @abstractmethod
    def prepare(self, progress: Progress) -> None:
        """Give the supernet the weights that the search starts from. A second call is quick."""

    @abstractmethod
    def adapt(self, batch: Batch, step: int) -> None:
        """Change the weights before ``batch`` is evaluated in ``step``; does nothing for frozen weights."""
