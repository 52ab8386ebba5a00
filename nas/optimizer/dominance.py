"""Many points against a front of many members: sorted look-ups for two objectives, blocks of comparisons for more.

A front is an array, shape (a, m), of different points that do not dominate each other; with two objectives it is
sorted by the first, ascending, and therefore by the second, descending.
"""

import moocore
import numpy as np
import numpy.typing as npt

from nas.types import Floats

Bools = npt.NDArray[np.bool_]

_BLOCK = 1 << 20  # comparisons at a time


def compare(points: Floats, front: Floats) -> tuple[Bools, Bools]:
    """Return which points, (n, m), a member of the front, (a, m), dominates, and which equal one, both (n,)."""
    if len(front) == 0 or len(points) == 0:
        return np.zeros(len(points), dtype=bool), np.zeros(len(points), dtype=bool)
    if front.shape[1] == 2:
        left = front[:, 0].searchsorted(points[:, 0], side="right") - 1
        nearest = front.take(left, axis=0, mode="clip")
        reached = (left >= 0) & (nearest[:, 1] <= points[:, 1])
        equal = reached & in_all(nearest == points)
        return reached & ~equal, equal
    reached, first = np.zeros(len(points), dtype=bool), np.zeros(len(points), dtype=np.int64)
    columns = np.ascontiguousarray(front.T)
    size = max(1, _BLOCK // len(front))
    for start in range(0, len(points), size):
        rows = slice(start, start + size)
        below = _below(columns[:, None], points[rows].T[:, :, None])
        first[rows] = below.argmax(axis=1)
        reached[rows] = below[np.arange(len(below)), first[rows]]
    equal = reached & in_all(front[first] == points)  # then no other member is below
    return reached & ~equal, equal


def merge(front: Floats, points: Floats) -> npt.NDArray[np.int64]:
    """Return what is on the front of a front, (a, m), and points, (n, m), none of which the front dominates or equals.

    The result, shape (k,), indexes the two joined, the front first, and puts them in a front's order. Of equal
    points the first is taken.
    """
    if front.shape[1] == 2:
        first, second = (np.concatenate([front[:, i], points[:, i]]) for i in range(2))
        order = np.lexsort((second, first))
        values = second[order]
        keep = np.ones(len(order), dtype=bool)
        keep[1:] = values[1:] < np.minimum.accumulate(values)[:-1]
        return order[keep]
    new = np.flatnonzero(moocore.is_nondominated(points, keep_weakly=False))
    old = np.ones(len(front), dtype=bool)
    columns = np.ascontiguousarray(front.T)
    size = max(1, _BLOCK // max(1, len(front)))
    for start in range(0, len(new), size):
        old &= ~_below(points[new[start : start + size]].T[:, :, None], columns[:, None]).any(axis=0)
    return np.concatenate([np.flatnonzero(old), len(front) + new])


def _below(lower: Floats, upper: Floats) -> Bools:
    """Return where ``lower`` is nowhere larger; the objectives are the first axis, (m, ...) -> (...)."""
    result: Bools = lower[0] <= upper[0]
    for i in range(1, len(lower)):
        result &= lower[i] <= upper[i]
    return result


def in_all(comparisons: Bools) -> Bools:
    """Return where all objectives agree: (..., m) -> (...), several times faster than ``all(axis=-1)``."""
    result: Bools = comparisons[..., 0]
    for i in range(1, comparisons.shape[-1]):
        result = result & comparisons[..., i]
    return result


def least_violated_front(objectives: Floats, violations: Floats) -> npt.NDArray[np.int64]:
    """Return the indices, ascending, of those that no other dominates: the least violation first, then objectives.

    Args:
        objectives: Shape (n, m), n at least 1.
        violations: Shape (n,), 0 where allowed.
    """
    rows = np.flatnonzero(violations == violations.min())
    front: npt.NDArray[np.int64] = rows[moocore.is_nondominated(objectives[rows], keep_weakly=True)]
    return front
