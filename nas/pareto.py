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

    NSGANetV2 normalizes by the product of the reference point, which is the box from the origin. Points beyond the
    reference add nothing; of points below the ideal only what is inside the box counts.

    Args:
        points: Objectives, shape (n, m).
        reference: The worst corner, shape (m,).
        ideal: The best corner, shape (m,), below the reference; the origin if ``None``.
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


def achievements(points: Floats, wanted: Floats) -> Floats:
    """Return how far points, (n, m), are from wanted values, (m,): the largest share f_i / w_i of each, (n,).

    This is the achievement scalarising function (Wierzbicki 1980) from the origin, as NSGANetV2 chooses architectures
    with it: 1 where a point reaches all that is wanted and no more, less where it is better in everything.

    Args:
        points: Objectives, not negative.
        wanted: Not negative; 0 asks for the least there is.
    """
    shares: Floats = (points / np.where(wanted == 0, 1e-10, wanted)).max(axis=1)
    return shares


def trade_offs(points: Floats, radius: float = 0.125) -> Floats:
    """Return what leaving each point, (n, m), of a front for a neighbor costs at least for what it gains, (n,).

    Sums of losses over sums of gains, of objectives scaled to 0..1 (Rachmawati & Srinivasan 2009, *Multiobjective
    Evolutionary Algorithm with Controllable Focus on the Knees of the Pareto Front*), as NSGANetV2 takes them from
    pymoo. It is large where the front bends: any step away from the point loses much. Neighbors are the points within
    ``radius``, or the 2m nearest ones where these are fewer. A point whose neighbors gain nothing has infinity.
    """
    spread = np.ptp(points, axis=0)
    scaled = (points - points.min(axis=0)) / np.where(spread > 0, spread, 1)
    n, m = points.shape
    change = scaled[None] - scaled[:, None]
    distance = np.linalg.norm(change, axis=2)
    np.fill_diagonal(distance, -1)  # a point is among its neighbours, first
    nearest = np.argsort(distance, axis=1, kind="stable")
    fewest = min(2 * m, n - 1)
    lost, gained = np.maximum(change, 0).sum(axis=2), np.maximum(-change, 0).sum(axis=2)
    result = np.full(n, np.inf)
    for i in range(n):
        near = np.flatnonzero(distance[i] <= radius)
        if len(near) < fewest:
            near = nearest[i, : fewest + 1]
        near = near[gained[i, near] > 0]
        if len(near):
            result[i] = (lost[i, near] / gained[i, near]).min()
    return result
