"""Selector by hypervolume improvement."""

import heapq
from typing import final

import moocore
import numpy as np
import numpy.typing as npt

from nas.pareto import non_dominated
from nas.selector.base import Selector
from nas.types import Floats, NonNegativeFloat


@final
class HVI(Selector):
    """Selector by greedy hypervolume improvement.

    Each choice is the candidate that adds most hypervolume to the union of the front and the chosen candidates. A
    candidate's improvement never grows while others are chosen. It is therefore enough to recompute the candidate with
    the largest last known value; the result is the same as with recomputing all of them. If no candidate adds
    hypervolume, the choice continues among the remaining ones as if the front were empty.

    Example:
        >>> from nas.selector.hvi import HVI
        >>> front = np.array([[10.0, 1.0], [5.0, 4.0]])
        >>> candidates = np.array([[7.0, 2.0], [9.0, 1.5], [4.0, 9.0]])
        >>> rng = np.random.default_rng(0)
        >>> HVI().select(candidates, front, 1, rng)
        array([0])
    """

    def __init__(self, *, margin: NonNegativeFloat = 0.1) -> None:
        """Set the reference point.

        Args:
            margin: Distance of the reference point beyond the worst values of the front and the non-dominated
                candidates, as a share of their range in each objective, 0 or more. With 0 the ends of the front add no
                hypervolume.
        """
        self._margin = margin

    def choose(
        self, candidates: Floats, front: Floats, n: int, rng: np.random.Generator, covariance: Floats | None
    ) -> npt.NDArray[np.int64]:
        """Return the indices of the ``n`` chosen candidates, ascending, shape (n,)."""
        known = np.concatenate([front, candidates[non_dominated(candidates)]])
        low, span = known.min(axis=0), np.ptp(known, axis=0)
        span = np.where(span > 0, span, 1.0)
        reference = np.full(candidates.shape[1], 1.0 + self._margin)
        left = rng.permutation(len(candidates))  # equal candidates have equal chances
        base = (front - low) / span
        chosen: list[int] = []
        while len(chosen) < n:
            points = (candidates[left] - low) / span
            picked = _greedy(points, base, n - len(chosen), reference)
            if not picked and len(base) == 0:  # all candidates lie beyond the reference point
                picked = np.argsort(moocore.pareto_rank(points), kind="stable")[: n - len(chosen)].tolist()
            chosen += left[picked].tolist()
            left = np.delete(left, picked)
            base = base[:0]
        return np.sort(np.array(chosen, dtype=np.int64))


def _greedy(points: Floats, base: Floats, n: int, reference: Floats) -> list[int]:
    """Return the indices of up to ``n`` points, (k, m), that add hypervolume to ``base``, (b, m), largest first."""
    volume = _volume(base, reference)
    heap = [(volume - _volume(np.concatenate([base, point[None]]), reference), i, 0) for i, point in enumerate(points)]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < n and heap[0][0] < -1e-12:
        added, i, when = heapq.heappop(heap)
        joined = np.concatenate([base, points[i : i + 1]])
        if when == len(chosen):
            chosen.append(i)
            base, volume = joined[non_dominated(joined)], volume - added
        else:
            heapq.heappush(heap, (volume - _volume(joined, reference), i, len(chosen)))
    return chosen


def _volume(points: Floats, reference: Floats) -> float:
    inside = points[np.all(points < reference, axis=1)]
    return float(moocore.hypervolume(inside, ref=reference)) if len(inside) else 0.0
