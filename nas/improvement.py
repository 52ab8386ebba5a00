"""Expected improvement of a front's hypervolume."""

from typing import final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from nas.types import Floats

_LINES = 24
"""With three and more objectives, values of each cost that the front's staircase is drawn with, at most."""


def reference_beyond(points: Floats, margin: float) -> Floats:
    """Return the point that lies beyond the worst of points, (n, m), by a share of their range, (m,)."""
    span = np.ptp(points, axis=0)
    worst: Floats = points.max(axis=0) + margin * np.where(span > 0, span, 1.0)
    return worst


@final
class ExpectedImprovement:
    """The hypervolume that a candidate of normally distributed error and known costs adds to a front, in the mean.

    A candidate of error y and costs c adds what lies between y and the front's least error L(u) at all costs u from c
    on, so that its expectation is an integral of one-dimensional expected improvements (Jones et al. 1998, eq. 15)

        E = int_{u >= c} E[max(L(u) - y, 0)] du

    L is constant on the cells of the grid through the front's costs, and the integral is a sum over them: exact with
    two objectives, where it equals the formula of Emmerich et al. (2011) for an error that alone is uncertain. With
    more objectives and large fronts the grid is thinned, which sets the front back to the next line.
    """

    def __init__(self, front: Floats, reference: Floats) -> None:
        """Draw the staircase.

        Args:
            front: Objectives, shape (f, m), the error first; dominated points do no harm.
            reference: The worst corner, shape (m,).
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
        """Return what each candidate adds in the mean, (k,).

        Args:
            points: Predicted error and costs, shape (k, m).
            deviations: Standard deviation of each error, shape (k,).
        """
        gains = _expected_excess(self._levels - points[:, :1], deviations[:, None])
        total: Floats = gains[:, self._cells]
        for axis in reversed(range(len(self._starts))):
            costs = points[:, axis + 1, None]
            width = np.maximum(self._ends[axis] - np.maximum(self._starts[axis], costs), 0)
            total = (total * width.reshape(len(points), *(1,) * axis, -1)).sum(axis=-1)
        return total


def _least(front: Floats, starts: list[Floats], worst: float) -> Floats:
    """Return the front's least error within each cell's costs, one axis a cost; ``worst`` where there is none."""
    if not starts:
        return np.array(front[:, 0].min(initial=worst))
    levels = np.full([len(lines) for lines in starts], worst)
    places = [np.searchsorted(lines, front[:, i + 1]) for i, lines in enumerate(starts)]
    np.minimum.at(levels, tuple(places), front[:, 0])
    for axis in range(levels.ndim):
        levels = np.minimum.accumulate(levels, axis=axis)
    return levels


def _expected_excess(means: npt.NDArray[np.float64], deviations: Floats) -> Floats:
    """Return the mean of max(x, 0) for normal x."""
    spread = np.maximum(deviations, 1e-12)
    standard = means / spread
    excess: Floats = means * ndtr(standard) + spread * np.exp(-0.5 * standard**2) / np.sqrt(2 * np.pi)
    return np.maximum(excess, 0.0)
