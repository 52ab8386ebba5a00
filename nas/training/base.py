"""Base class for trainings of a supernet."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from nas.training.trial import Trial
from nas.types import Genomes, Progress


class Training(ABC):
    """Base class for trainings of a supernet, before a search and between its steps.

    The weights after a step depend only on the initial weights and on the genomes of all steps so far. A run that was
    killed can therefore restore them.

    Attributes:
        moves: Whether the weights change during a search; earlier evaluations then have to be repeated.

    Example:
        >>> from nas.training.base import Training
        >>> class AsTheyAre(Training):
        ...     weights = None
        ...     def prepare(self, progress): ...
        >>> AsTheyAre().moves
        False
    """

    moves: bool = False

    @abstractmethod
    def prepare(self, progress: Progress) -> None:
        """Load or train the weights that the search starts from. A second call returns quickly.

        Args:
            progress: Function that is called with an activity, the number of finished units and the total number.
        """

    @property
    @abstractmethod
    def weights(self) -> str | None:
        """Digest of the supernet's current weights; ``None`` if it has no weights."""

    def keep(self) -> Mapping[Path, str]:
        """Put the weights that :meth:`prepare` loaded from elsewhere into the run folder.

        Returns:
            Digest of each file that the run folder now has, by path. It is empty if the run can restore the weights
            without a file.
        """
        return {}

    def restore(self, batches: Sequence[Genomes]) -> None:  # noqa: B027
        """Restore the weights after the given steps, for a resumed run.

        Args:
            batches: Genomes of each step so far, shape (n, d) each.
        """

    def adapt(self, genomes: Genomes, step: int) -> None:  # noqa: B027
        """Train the supernet for the candidates of a step, before they are evaluated.

        The default does nothing: the weights stay frozen.

        Args:
            genomes: Genomes of the candidates, shape (n, d).
            step: Number of the search step, from 0; step 0 is the initial design.
        """

    def trial(self, genomes: Genomes) -> Trial:
        """Measure a few training steps and estimate the cost of a whole run.

        It is called instead of :meth:`prepare`. The weights are the same afterwards, and nothing is written.

        Args:
            genomes: Genomes of example candidates, shape (n, d).
        """
        return Trial()

    def wait_until_saved(self) -> None:  # noqa: B027
        """Wait until the checkpoint of the last step is on disk."""

    def close(self) -> None:  # noqa: B027
        """Release resources such as other processes; the weights stay."""

    def conclude(self, progress: Progress) -> None:
        """Load the final weights of a finished search; the files of the run folder are enough for it."""
        self.prepare(progress)
