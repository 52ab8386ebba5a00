"""Base class for surrogates: models of expensive objectives that are fitted to evaluated architectures."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.types import Floats, Genomes


def unique_rows(genomes: npt.NDArray[Any], values: Floats) -> tuple[npt.NDArray[Any], Floats]:
    """Return the different genomes, (u, d), in ascending order, and the mean values of each, (u, m).

    Args:
        genomes: Genomes or other rows of numbers, shape (n, d).
        values: Values of the genomes, shape (n, m).

    Example:
        >>> unique_rows(np.array([[1, 2], [0, 1], [1, 2]]), np.array([[10.0], [5.0], [20.0]]))
        (array([[0, 1], [1, 2]]), array([[ 5.], [15.]]))
    """
    rows, inverse, counts = np.unique(genomes, axis=0, return_inverse=True, return_counts=True)
    sums = np.zeros((len(rows), values.shape[1]))
    np.add.at(sums, inverse.ravel(), values)
    return rows, sums / counts[:, None]


@dataclass(frozen=True)
class Standardised:
    """Training data of a model: different points, and values with mean 0 and standard deviation 1 in each column.

    Attributes:
        points: Different genomes, shape (u, d), in ascending order.
        targets: Standardized values of the points, shape (u, m).
        center, scale: Mean and standard deviation (1 for constant columns) of the original values, shape (m,) each; the
            original values are ``targets * scale + center``.
    """

    points: npt.NDArray[Any]
    targets: Floats
    center: Floats
    scale: Floats


class Surrogate(ABC):
    """Base class for surrogates, which predict objectives from genomes, for whole arrays of genomes at once.

    Attributes:
        name: Name of the surrogate on the command line, for example ``"rbf"``.
        metrics: Names of further metrics that the surrogate is fitted to. They are the last columns of the values.

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
        """Return the number of different points that a fit needs with ``n_genes`` genes; 2 in the base class."""
        return 2

    @abstractmethod
    def fit(self, genomes: Genomes, values: Floats) -> None:
        """Fit the surrogate; the result of an earlier fit is discarded.

        Args:
            genomes: Canonical genomes of evaluated architectures, shape (n, d).
            values: Values of the genomes, shape (n, m).

        Raises:
            ValueError: If there are fewer different genomes than ``minimum_points``.
        """

    def different(self, genomes: npt.NDArray[Any], values: Floats) -> tuple[npt.NDArray[Any], Floats]:
        """Return different points and their mean values as :func:`unique_rows` does.

        Raises:
            ValueError: If there are fewer different points than ``minimum_points``.
        """
        points, means = unique_rows(genomes, values)
        needed = self.minimum_points(genomes.shape[1])
        if len(points) < needed:
            raise ValueError(f"the {self.name} surrogate needs {needed} different points, got {len(points)}")
        return points, means

    def standardised(self, genomes: Genomes, values: Floats) -> Standardised:
        """Return the standardized training data of genomes, (n, d), and values, (n, m).

        Raises:
            ValueError: If there are fewer different genomes than ``minimum_points``.
        """
        points, means = self.different(genomes, values)
        center, spread = means.mean(axis=0), means.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        return Standardised(points, (means - center) / scale, center, scale)

    @abstractmethod
    def predict(self, genomes: Genomes) -> Floats:
        """Return predicted values, (k, d) -> (k, m), in the units of the fitted values.

        The number of genomes, k, may be 0 in this and in the following methods.
        """

    def deviation(self, genomes: Genomes) -> Floats | None:
        """Return the standard deviation of each prediction, (k, d) -> (k, m); ``None`` without uncertainty."""
        return None

    def covariance(self, genomes: Genomes) -> Floats | None:
        """Return the covariance of the first output's predictions, (k, d) -> (k, k).

        The result is ``None`` for models without uncertainty. The matrix is diagonal for models that have standard
        deviations but no covariances.
        """
        deviation = self.deviation(genomes)
        return None if deviation is None else np.diag(deviation[:, 0] ** 2)

    @property
    def winner(self) -> str:
        """Name of the model in use: the surrogate's own name, unless it chooses among several models."""
        return self.name
