"""Dominance, hypervolume, reference directions and decision rules for minimized objectives."""

from itertools import combinations
from math import comb

import moocore
import numpy as np
import numpy.typing as npt

from nas.types import Floats


def non_dominated(points: Floats) -> npt.NDArray[np.int64]:
    """Return the indices, ascending, of the points, shape (n, m), that no other point dominates.

    Equal points do not dominate each other: all of them are returned.

    Example:
        >>> non_dominated(np.array([[1.0, 3.0], [2.0, 4.0], [2.0, 1.0]]))
        array([0, 2])
    """
    if len(points) == 0:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(moocore.is_nondominated(points, keep_weakly=True)).astype(np.int64)


def hypervolume(points: Floats, reference: Floats, ideal: Floats | None = None) -> float:
    """Return the normalized hypervolume: the share, 0 to 1, of the box between two corners that the points dominate.

    NSGANetV2 normalizes by the product of the reference point's coordinates, which is the box from the origin. Points
    beyond the reference point add nothing. For points below the ideal point, only the region inside the box counts.

    Args:
        points: Objectives, shape (n, m).
        reference: Reference point, the worst corner of the box, shape (m,).
        ideal: Ideal point, the best corner of the box, shape (m,), below the reference point; ``None`` for the origin.

    Example:
        >>> hypervolume(np.array([[1.0, 3.0], [2.0, 1.0]]), reference=np.array([4.0, 4.0]))
        0.4375
    """
    best = np.zeros(len(reference)) if ideal is None else ideal
    inside = np.maximum(points[np.all(points < reference, axis=1)], best)
    if len(inside) == 0:
        return 0.0
    return float(moocore.hypervolume(inside, ref=reference) / np.prod(reference - best))


def reference_directions(n: int, m: int) -> Floats:
    """Return at most ``n`` evenly spaced reference directions, shape (k, m) (Das and Dennis 1998).

    Directions are non-negative and have sum 1. With two objectives there are exactly ``n`` directions. With more
    objectives the finest grid with at most ``n`` directions is returned.

    Args:
        n: Maximum number of directions.
        m: Number of objectives.

    Example:
        >>> reference_directions(3, 2)
        array([[0. , 1. ], [0.5, 0.5], [1. , 0. ]])
        >>> reference_directions(100, 3).shape
        (91, 3)
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
    """Return the largest ratio f_i / w_i of objectives and desired values for each point, shape (n,).

    This is the achievement scalarizing function (Wierzbicki 1980) from the origin. NSGANetV2 chooses architectures with
    it. The result is below 1 for points that are better than desired in all objectives. It is above 1 for points that
    miss a desired value.

    Args:
        points: Objectives f, not negative, shape (n, m).
        wanted: Desired values w, not negative, shape (m,); 0 asks for the smallest possible value.

    Example:
        >>> achievements(np.array([[4.0, 300.0], [8.0, 100.0]]), np.array([5.0, 300.0]))
        array([1. , 1.6])
    """
    shares: Floats = (points / np.where(wanted == 0, 1e-10, wanted)).max(axis=1)
    return shares


def trade_offs(points: Floats, radius: float = 0.125) -> Floats:
    """Return the trade-off of each point of a front: the least ratio of loss to gain in a change to a neighbor, (n,).

    Loss and gain are sums over the objectives, scaled to 0 to 1 (Rachmawati & Srinivasan 2009, *Multiobjective
    Evolutionary Algorithm with Controllable Focus on the Knees of the Pareto Front*). NSGANetV2 uses the implementation
    in pymoo. The trade-off is large at knees of the front, where each step away from the point loses much. It is
    infinite if no neighbor gains anything.

    Args:
        points: Objectives of the front, shape (n, m).
        radius: Largest distance of neighbors in the scaled objectives. If fewer than 2m points are that near, the 2m
            nearest ones are the neighbors.

    Example:
        >>> front = np.array([[0.0, 1.0], [0.1, 0.1], [1.0, 0.0]])
        >>> trade_offs(front).round(2)
        array([0.11, 9.  , 0.11])
    """
    spread = np.ptp(points, axis=0)
    scaled = (points - points.min(axis=0)) / np.where(spread > 0, spread, 1)
    n, m = points.shape
    change = scaled[None] - scaled[:, None]
    distance = np.linalg.norm(change, axis=2)
    np.fill_diagonal(distance, -1)  # sorts each point before all of its neighbors
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
