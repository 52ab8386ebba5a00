"""Which of the candidates that an optimizer found are worth an evaluation."""

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from nas.types import Floats


class Selector(ABC):
    """Chooses candidates by their predicted objectives and the front that is already known.

    Attributes:
        uses_covariance: whether it looks at how sure the model is; what it does not need is not computed.
    """

    uses_covariance: bool = False

    def select(
        self, candidates: Floats, front: Floats, n: int, rng: np.random.Generator, covariance: Floats | None = None
    ) -> npt.NDArray[np.int64]:
        """Return the indices of ``n`` candidates, ascending, shape (n,); all of them where there are fewer.

        Args:
            candidates: predicted error and exact costs of the candidates, shape (k, m).
            front: objectives of the non-dominated evaluations, shape (f, m), f at least 1.
            n: how many to choose.
            rng: the only source of randomness.
            covariance: of the candidates' errors, shape (k, k), where the model says how sure it is; selectors that
                take predictions as they are do not look at it.
        """
        if len(candidates) <= n:
            return np.arange(len(candidates), dtype=np.int64)
        return self.choose(candidates, front, n, rng, covariance)

    @abstractmethod
    def choose(
        self, candidates: Floats, front: Floats, n: int, rng: np.random.Generator, covariance: Floats | None
    ) -> npt.NDArray[np.int64]:
        """Do what :meth:`select` says, where there are more candidates than ``n``."""
