"""Which of the candidates that an optimizer found are worth an evaluation."""

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from nas.types import Floats


class Selector(ABC):
    """Chooses candidates by their predicted objectives and the front that is already known.

    Attributes:
        uses_covariance: Whether it looks at how sure the model is; what it does not need is not computed.

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
        """Return the indices of ``n`` candidates, ascending, shape (n,); all of them where there are fewer.

        Args:
            candidates: Predicted error and exact costs of the candidates, shape (k, m).
            front: Objectives of the non-dominated evaluations, shape (f, m), f at least 1.
            n: Number of candidates to choose.
            rng: The only source of randomness.
            covariance: Covariance of the candidates' predicted errors, shape (k, k), if the surrogate has one;
                selectors without use for it ignore it.
        """
        if len(candidates) <= n:
            return np.arange(len(candidates), dtype=np.int64)
        return self.choose(candidates, front, n, rng, covariance)

    @abstractmethod
    def choose(
        self, candidates: Floats, front: Floats, n: int, rng: np.random.Generator, covariance: Floats | None
    ) -> npt.NDArray[np.int64]:
        """Do what :meth:`select` says, where there are more candidates than ``n``."""
