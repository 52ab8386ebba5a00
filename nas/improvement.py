"""Expected hypervolume improvement."""

from typing import final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from nas.types import Floats

_LINES = 24
"""Maximum number of grid lines along each cost, with three or more objectives."""


def reference_beyond(points: Floats, margin: float) -> Floats:
    """Return a reference point, (m,), that lies beyond the worst values of points by a share of their range.

    Args:
        points: Objectives, shape (n, m), n at least 1.
        margin: Distance of the reference point beyond the worst values, as a share of the range of each objective.

    Example:
        >>> reference_beyond(np.array([[1.0, 30.0], [2.0, 10.0]]), margin=0.1)
        array([ 2.1, 32. ])
    """
    span = np.ptp(points, axis=0)
    worst: Floats = points.max(axis=0) + margin * np.where(span > 0, span, 1.0)
    return worst


@final
class ExpectedImprovement:
    """Expected hypervolume improvement of a front by candidates with a normally distributed error and known costs.

    Let L(u) be the least error of the front at costs of at most u. A candidate with error y and costs c adds the region
    between y and L(u) for all costs u from c on. Its expected improvement is therefore an integral of one-dimensional
    expected improvements (Jones et al. 1998, eq. 15):

        E = int_{u >= c} E[max(L(u) - y, 0)] du

    L is constant on the cells of the grid through the front's costs, so that the integral is a sum over the cells. The
    sum is exact with two objectives. It then equals the formula of Emmerich et al. (2011) for the case that only the
    error is uncertain. With more objectives and large fronts the grid is thinned; costs of the front are then rounded
    up to the next grid line.

    Example:
        >>> from nas.improvement import ExpectedImprovement
        >>> front = np.array([[10.0, 1.0], [5.0, 4.0]])
        >>> improvement = ExpectedImprovement(front, reference=np.array([12.0, 6.0]))
        >>> improvement(np.array([[7.0, 2.0], [7.0, 2.0]]), deviations=np.array([0.0, 2.0])).round(2)
        array([6.  , 6.45])
    """

    def __init__(self, front: Floats, reference: Floats) -> None:
        """Compute the front's least error on the cells of the grid.

        Args:
            front: Objectives, shape (f, m), the error first; dominated points have no effect.
            reference: Reference point, the worst corner of the hypervolume, shape (m,).
        """
        inside = front[np.all(front < reference, axis=1)]
        self._starts, self._ends = [], []
        for costs, end in zip(inside[:, 1:].T, reference[1:], strict=True):
            lines = np.unique(costs)
            if front.shape[1] > 2 and len(lines) > _LINES:
                lines = lines[np.linspace(0, len(lines) - 1, _LINES).round().astype(np.int64)]
            self._starts.append(np.concatenate([[-np.inf], lines]))
            self._ends.append(np.concatenate([lines, [end]]))
        self._levels, self._cells = np.unique(_least(inside, self._starts, reference[0]), return_inverse=True)
        self._cells = self._cells.reshape([len(starts) for starts in self._starts])

    def __call__(self, points: Floats, deviations: Floats) -> Floats:
        """Return the expected hypervolume improvement of each candidate, shape (k,).

        Args:
            points: Predicted error and costs, shape (k, m).
            deviations: Standard deviation of each predicted error, shape (k,).
        """
        gains = _expected_excess(self._levels - points[:, :1], deviations[:, None])
        total: Floats = gains[:, self._cells]
        for axis in reversed(range(len(self._starts))):
            costs = points[:, axis + 1, None]
            width = np.maximum(self._ends[axis] - np.maximum(self._starts[axis], costs), 0)
            total = (total * width.reshape(len(points), *(1,) * axis, -1)).sum(axis=-1)
        return total


def _least(front: Floats, starts: list[Floats], worst: float) -> Floats:
    """Return the front's least error at the costs of each cell, with one axis for each cost; at most ``worst``."""
    if not starts:
        return np.array(front[:, 0].min(initial=worst))
    levels = np.full([len(lines) for lines in starts], worst)
    places = [np.searchsorted(lines, front[:, i + 1]) for i, lines in enumerate(starts)]
    np.minimum.at(levels, tuple(places), front[:, 0])
    for axis in range(levels.ndim):
        levels = np.minimum.accumulate(levels, axis=axis)
    return levels


def _expected_excess(means: npt.NDArray[np.float64], deviations: Floats) -> Floats:
    """Return the mean of max(x, 0) for normally distributed x."""
    spread = np.maximum(deviations, 1e-12)
    standard = means / spread
    excess: Floats = means * ndtr(standard) + spread * np.exp(-0.5 * standard**2) / np.sqrt(2 * np.pi)
    return np.maximum(excess, 0.0)
