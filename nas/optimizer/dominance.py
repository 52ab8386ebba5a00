"""Fast dominance checks of many points against a front.

A front is an array, shape (a, m), of different points that do not dominate each other. With two objectives it is sorted
by the first objective, ascending, and therefore by the second, descending; the checks are sorted look-ups. With more
objectives the points are compared in blocks.
"""

import moocore
import numpy as np
import numpy.typing as npt

from nas.types import Floats

Bools = npt.NDArray[np.bool_]

_BLOCK = 1 << 20  # comparisons in one block


def compare(points: Floats, front: Floats) -> tuple[Bools, Bools]:
    """Return which points, (n, m), the front, (a, m), dominates, and which points equal a member of it, both (n,)."""
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
    equal = reached & in_all(front[first] == points)  # a point that equals a member is not dominated by another member
    return reached & ~equal, equal


def merge(front: Floats, points: Floats) -> npt.NDArray[np.int64]:
    """Return the indices, (k,), of the front of the union of a front, (a, m), and points, (n, m).

    The front must not dominate or equal any of the points. The indices refer to the front followed by the points. They
    are in the order of a front. Of equal points the first one is taken.
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
    """Return whether ``lower`` is at most ``upper`` in all objectives, which are the first axis, (m, ...) -> (...)."""
    result: Bools = lower[0] <= upper[0]
    for i in range(1, len(lower)):
        result &= lower[i] <= upper[i]
    return result


def in_all(comparisons: Bools) -> Bools:
    """Return ``comparisons.all(axis=-1)``, (..., m) -> (...), several times faster for few objectives."""
    result: Bools = comparisons[..., 0]
    for i in range(1, comparisons.shape[-1]):
        result = result & comparisons[..., i]
    return result


def least_violated_front(objectives: Floats, violations: Floats) -> npt.NDArray[np.int64]:
    """Return the ascending indices of the non-dominated rows among those with the least violation.

    Args:
        objectives: Objectives, shape (n, m), n at least 1.
        violations: Constraint violations, shape (n,), 0 for allowed genomes.
    """
    rows = np.flatnonzero(violations == violations.min())
    front: npt.NDArray[np.int64] = rows[moocore.is_nondominated(objectives[rows], keep_weakly=True)]
    return front
