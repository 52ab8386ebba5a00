"""Selector by expected hypervolume improvement."""

from typing import final

import numpy as np
import numpy.typing as npt

from nas.improvement import ExpectedImprovement, reference_beyond
from nas.selector.base import Selector
from nas.types import Floats, NonNegativeFloat

_NOTHING = 1e-10
"""Improvements up to this share of the box between the ideal point and the reference point count as zero."""


@final
class EHVI(Selector):
    """Selector by greedy expected hypervolume improvement (Emmerich et al. 2011).

    Candidates are chosen one after the other. A chosen candidate joins the front with its predicted error (kriging
    believer, Ginsbourger et al. 2010). The covariance of the other candidates is then conditioned on it, which lowers
    the expected improvement of similar candidates. Without uncertainty the choice is greedy by hypervolume
    improvement.

    Example:
        >>> from nas.selector.ehvi import EHVI
        >>> front = np.array([[10.0, 1.0], [5.0, 4.0]])
        >>> candidates = np.array([[7.0, 2.0], [9.0, 1.5], [4.0, 9.0]])
        >>> rng = np.random.default_rng(0)
        >>> EHVI().select(candidates, front, 1, rng)
        array([0])
        >>> EHVI().select(candidates, front, 1, rng, covariance=np.diag([0.0, 100.0, 0.0]))
        array([1])
    """

    uses_covariance = True

    def __init__(self, *, margin: NonNegativeFloat = 0.1) -> None:
        """Set the reference point.

        Args:
            margin: Distance of the reference point beyond the worst values of the front, as a share of their range, 0
                or more.
        """
        self._margin = margin

    def choose(
        self, candidates: Floats, front: Floats, n: int, rng: np.random.Generator, covariance: Floats | None
    ) -> npt.NDArray[np.int64]:
        """Return the indices of the ``n`` chosen candidates, ascending, shape (n,)."""
        order = rng.permutation(len(candidates))  # equal candidates have equal chances
        reference = reference_beyond(front, self._margin)
        points = candidates[order]
        left = np.zeros((len(order),) * 2) if covariance is None else covariance[np.ix_(order, order)]
        known, chosen = front, np.zeros(0, dtype=np.int64)
        while len(chosen) < n:
            variances = np.maximum(np.diag(left), 0)
            added = ExpectedImprovement(known, reference)(points, np.sqrt(variances))
            added[chosen] = -1
            if added.max() <= _NOTHING * np.prod(reference - known.min(axis=0, initial=np.inf)) and len(known):
                known = known[:0]  # no candidate improves the front: choose among the rest as if the front were empty
                continue
            best = int(np.argmax(added))
            chosen = np.append(chosen, best)
            known = np.concatenate([known, points[best : best + 1]])
            if variances[best] > 0:
                left = left - np.outer(left[:, best], left[best]) / variances[best]
        return np.sort(order[chosen])
