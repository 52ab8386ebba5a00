"""How a supernet gets its weights."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from nas.training.trial import Trial
from nas.types import Genomes, Progress


class Training(ABC):
    """Base class for trainings, which give the supernet its weights.

    The weights of a step are a function of the first weights and of the genomes that the steps up to it evaluated, so
    that a killed run finds them again.

    Attributes:
        moves: Whether the weights change during a search, so that what was measured earlier has to be measured again.

    Example:
        >>> class AsTheyAre(Training):
        ...     weights = None
        ...     def prepare(self, progress): ...
        >>> AsTheyAre().moves
        False
    """

    moves: bool = False

    @abstractmethod
    def prepare(self, progress: Progress) -> None:
        """Give the supernet the weights that the search starts from. A second call is quick."""

    @property
    @abstractmethod
    def weights(self) -> str | None:
        """The digest of the supernet's weights as they are; ``None`` where there are none."""

    def keep(self) -> Mapping[Path, str]:
        """Put the weights that :meth:`prepare` found elsewhere into the run's folder.

        Returns:
            The digest of each file that is now there; none where the run needs none to give these weights again.
        """
        return {}

    def restore(self, batches: Sequence[Genomes]) -> None:  # noqa: B027
        """Give the supernet the weights that it had after the steps with these batches, each (n, d)."""

    def adapt(self, genomes: Genomes, step: int) -> None:  # noqa: B027
        """Change the weights before the genomes, (n, d), are evaluated in ``step``; frozen weights stay."""

    def trial(self, genomes: Genomes) -> Trial:
        """Take a few steps, as if these genomes, (n, d), were to be evaluated, and tell what a whole run takes.

        It stands in the place of :meth:`prepare`. The weights are the same afterwards, and nothing is written.
        """
        return Trial()

    def wait_until_saved(self) -> None:  # noqa: B027
        """Wait until the weights of the last step are where a later process finds them."""

    def close(self) -> None:  # noqa: B027
        """Let go of what the training holds beside the weights, such as other processes."""

    def conclude(self, progress: Progress) -> None:
        """Give the supernet the weights that the whole search leaves; what the run left on disk suffices."""
        self.prepare(progress)
