"""Dominance and hypervolume of points that are minimised in every objective."""

from itertools import combinations
from math import comb

import moocore
import numpy as np
import numpy.typing as npt

from nas.types import Floats


def non_dominated(points: Floats) -> npt.NDArray[np.int64]:
    """Return the indices, ascending, of the points, shape (n, m), that no other point dominates.

    Equal points do not dominate each other: all of them are returned.
    """
    if len(points) == 0:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(moocore.is_nondominated(points, keep_weakly=True)).astype(np.int64)


def hypervolume(points: Floats, reference: Floats, ideal: Floats | None = None) -> float:
    """Return the share, 0 to 1, of the box from ``ideal`` to ``reference`` that the points dominate.

    NSGANetV2 normalises by the product of the reference point, which is the box from the origin. Points beyond the
    reference add nothing; of points below the ideal only what is inside the box counts.

    Args:
        points: objectives, shape (n, m).
        reference: the worst corner, shape (m,).
        ideal: the best corner, shape (m,), below the reference; the origin if ``None``.
    """
    best = np.zeros(len(reference)) if ideal is None else ideal
    inside = np.maximum(points[np.all(points < reference, axis=1)], best)
    if len(inside) == 0:
        return 0.0
    return float(moocore.hypervolume(inside, ref=reference) / np.prod(reference - best))


def reference_directions(n: int, m: int) -> Floats:
    """Return at most ``n`` evenly spaced directions, shape (k, m): non-negative and of sum 1 (Das and Dennis 1998).

    With two objectives there are exactly ``n``; with more, as many as the finest grid has that is not larger.
    """
    parts = 0
    while m > 1 and comb(parts + m, m - 1) <= n:
        parts += 1
    if parts == 0:
        return np.full((1, m), 1.0 / m)
    bars = np.array(list(combinations(range(parts + m - 1), m - 1)))
    ends = np.column_stack([np.full(len(bars), -1), bars, np.full(len(bars), parts + m - 1)])
    return (np.diff(ends, axis=1) - 1) / parts
