"""Models of an expensive objective, fitted to what was evaluated."""

from abc import ABC, abstractmethod

from nas.types import Floats, Genomes


class Surrogate(ABC):
    """Predicts one objective from genomes; whole arrays at once.

    Attributes:
        name: the word that selects it on the command line.
    """

    name: str

    @abstractmethod
    def minimum_points(self, n_genes: int) -> int:
        """Return how many different points a fit in ``n_genes`` dimensions needs."""

    @abstractmethod
    def fit(self, genomes: Genomes, values: Floats) -> None:
        """Fit to genomes, shape (n, d), and their values, shape (n,); forgets earlier fits.

        Raises:
            ValueError: if there are fewer different points than ``minimum_points``.
        """

    @abstractmethod
    def predict(self, genomes: Genomes) -> Floats:
        """Predict values, (k, d) -> (k,), in the unit they were fitted in."""

    @property
    def winner(self) -> str:
        """The model that is in use: the surrogate itself unless it chooses among several."""
        return self.name
