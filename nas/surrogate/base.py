"""Models of an expensive objective, fitted to what was evaluated."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.types import Floats, Genomes


def unique_rows(genomes: npt.NDArray[Any], values: Floats) -> tuple[npt.NDArray[Any], Floats]:
    """Return the different genomes, (u, d), in ascending order, and the mean values of each, (u, m).

    Args:
        genomes: Or other rows of numbers, shape (n, d).
        values: Shape (n, m).
    """
    rows, inverse, counts = np.unique(genomes, axis=0, return_inverse=True, return_counts=True)
    sums = np.zeros((len(rows), values.shape[1]))
    np.add.at(sums, inverse.ravel(), values)
    return rows, sums / counts[:, None]


@dataclass(frozen=True)
class Standardised:
    """What a model is fitted to: different points and their values, of mean 0 and deviation 1 in each column.

    Attributes:
        points: Different genomes, shape (u, d), in ascending order.
        targets: Their values in these units, shape (u, m).
        center, scale: Center and scale that give values in their own units, ``targets * scale + center``, shape (m,)
            each.
    """

    points: npt.NDArray[Any]
    targets: Floats
    center: Floats
    scale: Floats


class Surrogate(ABC):
    """Base class for surrogates, which predict objectives from genomes, whole arrays at once.

    Attributes:
        name: The word that selects it on the command line.
        metrics: Names of further metrics that the surrogate is fitted to: the last columns of values.

    Example:
        >>> class Mean(Surrogate):
        ...     name = "mean"
        ...     def fit(self, genomes, values):
        ...         self.mean = values.mean(axis=0)
        ...     def predict(self, genomes):
        ...         return np.tile(self.mean, (len(genomes), 1))
        >>> surrogate = Mean()
        >>> surrogate.fit(np.array([[0], [1]]), np.array([[10.0], [20.0]]))
        >>> surrogate.predict(np.array([[5]]))
        array([[15.]])
    """

    name: str
    metrics: tuple[str, ...] = ()

    def minimum_points(self, n_genes: int) -> int:
        """Return how many different points a fit in ``n_genes`` dimensions needs: here 2."""
        return 2

    @abstractmethod
    def fit(self, genomes: Genomes, values: Floats) -> None:
        """Fit to genomes, shape (n, d), and their values, shape (n, m); forgets earlier fits.

        Raises:
            ValueError: If there are fewer different points than ``minimum_points``.
        """

    def different(self, genomes: npt.NDArray[Any], values: Floats) -> tuple[npt.NDArray[Any], Floats]:
        """Return what :func:`unique_rows` does; ValueError below ``minimum_points`` different points."""
        points, means = unique_rows(genomes, values)
        needed = self.minimum_points(genomes.shape[1])
        if len(points) < needed:
            raise ValueError(f"the {self.name} surrogate needs {needed} different points, got {len(points)}")
        return points, means

    def standardised(self, genomes: Genomes, values: Floats) -> Standardised:
        """Return what to fit to, (n, d) and (n, m); ValueError below ``minimum_points`` different points."""
        points, means = self.different(genomes, values)
        center, spread = means.mean(axis=0), means.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        return Standardised(points, (means - center) / scale, center, scale)

    @abstractmethod
    def predict(self, genomes: Genomes) -> Floats:
        """Predict values, (k, d) -> (k, m), in the units they were fitted in; k may be 0, here and below."""

    def deviation(self, genomes: Genomes) -> Floats | None:
        """Return the standard deviation of each prediction, (k, d) -> (k, m); ``None`` where the model has none."""
        return None

    def covariance(self, genomes: Genomes) -> Floats | None:
        """Return the covariances of the first output's predictions, (k, d) -> (k, k); ``None`` without deviations.

        Models that know deviations alone have zeros off the diagonal.
        """
        deviation = self.deviation(genomes)
        return None if deviation is None else np.diag(deviation[:, 0] ** 2)

    @property
    def winner(self) -> str:
        """The model that is in use: the surrogate itself unless it chooses among several."""
        return self.name
