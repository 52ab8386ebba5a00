"""Candidates by the hypervolume they add in the mean over what they may turn out to be."""

from typing import final

import numpy as np
import numpy.typing as npt

from nas.improvement import ExpectedImprovement, reference_beyond
from nas.selector.base import Selector
from nas.types import Floats, NonNegativeFloat

_NOTHING = 1e-10
"""Share of the box between the known and the reference point that counts as nothing."""


@final
class EHVI(Selector):
    """Greedy expected hypervolume improvement (Emmerich et al. 2011), one candidate after the other.

    A chosen candidate joins the front with its predicted error (the kriging believer of Ginsbourger et al. 2010), and
    the others' uncertainty becomes what it would be if that one were evaluated: those that are much like it are worth
    less than before. Without uncertainty this is the greedy choice by hypervolume improvement.
    """

    uses_covariance = True

    def __init__(self, *, margin: NonNegativeFloat = 0.1) -> None:
        """Set the reference point.

        Args:
            margin: Distance of the reference point beyond the worst values of the front, as a share of their range.
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
                known = known[:0]  # none adds anything: on among the rest as if nothing were known yet
                continue
            best = int(np.argmax(added))
            chosen = np.append(chosen, best)
            known = np.concatenate([known, points[best : best + 1]])
            if variances[best] > 0:
                left = left - np.outer(left[:, best], left[best]) / variances[best]
        return np.sort(order[chosen])
