"""Candidates by the hypervolume they add."""

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
    """Greedy hypervolume improvement: always the candidate that adds most to the front and those chosen before.

    What a candidate adds never grows while others are chosen; so only those whose last known value leads are
    looked at again, and the result is that of looking at all of them each time. Where none adds anything,
    the choice goes on among the rest as if nothing were known yet.
    """

    def __init__(self, *, margin: NonNegativeFloat = 0.1) -> None:
        """Set the reference point.

        Args:
            margin: Distance of the reference point beyond the worst values of front and non-dominated candidates, as a
                share of their range in each objective; with 0 the ends of the front add no hypervolume.
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
            if not picked and len(base) == 0:  # all lie beyond the reference point
                picked = np.argsort(moocore.pareto_rank(points), kind="stable")[: n - len(chosen)].tolist()
            chosen += left[picked].tolist()
            left = np.delete(left, picked)
            base = base[:0]
        return np.sort(np.array(chosen, dtype=np.int64))


def _greedy(points: Floats, base: Floats, n: int, reference: Floats) -> list[int]:
    """Return up to ``n`` of the points, (k, m), that add to ``base``, (b, m), in the order of how much."""
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
