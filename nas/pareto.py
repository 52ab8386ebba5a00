"""Dominance and hypervolume of points that are minimised in every objective."""

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


def hypervolume(points: Floats, reference: Floats) -> float:
    """Return the share, 0 to 1, of the box from the origin to ``reference`` that the points dominate.

    NSGANetV2 normalises this way (hypervolume divided by the product of the reference point); objectives are
    taken to be non-negative. Points beyond the reference add nothing.

    Args:
        points: objectives, shape (n, m).
        reference: the reference point, shape (m,), positive.
    """
    inside = points[np.all(points < reference, axis=1)]
    if len(inside) == 0:
        return 0.0
    return float(moocore.hypervolume(inside, ref=reference) / np.prod(reference))
