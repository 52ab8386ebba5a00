"""Base class for selectors, which choose the candidates to evaluate."""

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from nas.types import Floats


class Selector(ABC):
    """Base class for selectors.

    A selector chooses among the candidates that an optimizer found. It uses their predicted objectives and the Pareto
    front of the evaluated architectures.

    Attributes:
        uses_covariance: Whether the selector uses the covariance of the predictions; it is not computed otherwise.

    Example:
        >>> class First(Selector):
        ...     def choose(self, candidates, front, n, rng, covariance):
        ...         return np.arange(n)
        >>> First().select(np.array([[3.0, 1.0], [2.0, 2.0]]), np.zeros((0, 2)), 1, np.random.default_rng(0))
        array([0])
    """

    uses_covariance: bool = False

    def select(
        self, candidates: Floats, front: Floats, n: int, rng: np.random.Generator, covariance: Floats | None = None
    ) -> npt.NDArray[np.int64]:
        """Return the indices of ``n`` candidates, ascending, shape (n,); all indices if there are fewer candidates.

        Args:
            candidates: Predicted error and exact costs of the candidates, shape (k, m).
            front: Objectives of the non-dominated evaluations, shape (f, m), f at least 1.
            n: Number of candidates to choose.
            rng: Random generator, the only source of randomness.
            covariance: Covariance of the candidates' predicted errors, shape (k, k); ``None`` if the surrogate has no
                uncertainty. Selectors with ``uses_covariance = False`` ignore it.
        """
        if len(candidates) <= n:
            return np.arange(len(candidates), dtype=np.int64)
        return self.choose(candidates, front, n, rng, covariance)

    @abstractmethod
    def choose(
        self, candidates: Floats, front: Floats, n: int, rng: np.random.Generator, covariance: Floats | None
    ) -> npt.NDArray[np.int64]:
        """Return the indices of the ``n`` chosen candidates, as :meth:`select` does; k is larger than ``n`` here."""
