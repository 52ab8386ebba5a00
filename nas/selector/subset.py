"""Subset selection of NSGANetV2: candidates that make the spacing of the front even, found exactly."""

from typing import final

import numpy as np
import numpy.typing as npt

from nas.selector.base import Selector
from nas.types import Floats


@final
class Subset(Selector):
    """Selector for an even spacing of the front in the second objective.

    It minimizes the standard deviation of the gaps between neighbors in the union of the front and the chosen
    candidates (NSGANetV2, Alg. 1, line 11 and Fig. 3(c)-(d)). The published code searches with a genetic algorithm.
    Here dynamic programming finds the optimum. For fixed ends of the union the sum of the gaps is constant, so that the
    optimum has the least sum of squared gaps. This is a shortest path over the sorted values.

    Example:
        >>> from nas.selector.subset import Subset
        >>> front = np.array([[10.0, 1.0], [5.0, 4.0]])
        >>> candidates = np.array([[7.0, 2.5], [9.0, 1.5], [6.0, 3.9]])
        >>> Subset().select(candidates, front, 1, np.random.default_rng(0))
        array([0])
    """

    def choose(
        self, candidates: Floats, front: Floats, n: int, rng: np.random.Generator, covariance: Floats | None
    ) -> npt.NDArray[np.int64]:
        """Return the indices of the ``n`` chosen candidates, ascending, shape (n,)."""
        values = np.concatenate([front[:, 1], candidates[:, 1]])
        order = np.argsort(values, kind="stable")
        chosen = _even_spacing(values[order], order < len(front), n)
        return np.sort(order[chosen] - len(front)).astype(np.int64)


def _even_spacing(values: Floats, fixed: npt.NDArray[np.bool_], n: int) -> list[int]:
    """Return the positions of ``n`` free values whose union with the fixed values has the most even gaps.

    Args:
        values: Values in ascending order, shape (k,).
        fixed: Mask of the values that are always in the union, shape (k,); at least one is true.
        n: Number of free values to choose, less than the number of free values.
    """
    first_fixed, last_fixed = np.flatnonzero(fixed)[[0, -1]]
    gaps = int(fixed.sum()) + n - 1
    best: tuple[float, list[int]] = (np.inf, [])
    for start in range(first_fixed + 1):
        squares, previous = _shortest_paths(values, fixed, start, n)
        for end in range(last_fixed, len(values)):
            variance = squares[end, n] / gaps - ((values[end] - values[start]) / gaps) ** 2
            if variance < best[0]:
                best = (variance, _walk(previous, fixed, start, end, n))
    return best[1]


def _shortest_paths(
    values: Floats, fixed: npt.NDArray[np.bool_], start: int, n: int
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return the least sum of squared gaps from ``start`` to each position with each number of free values.

    Both results have shape (k, n + 1): the sums, infinite if there is no such path, and the previous position on the
    path.
    """
    squares = np.full((len(values), n + 1), np.inf)
    previous = np.full((len(values), n + 1), -1, dtype=np.int64)
    squares[start, int(not fixed[start])] = 0.0
    for position in range(start + 1, len(values)):
        skippable = np.flatnonzero(fixed[start:position])  # a path must not skip a fixed value
        low = start + int(skippable[-1]) if len(skippable) else start
        sums = squares[low:position] + (values[position] - values[low:position, None]) ** 2
        came = np.argmin(sums, axis=0)
        least = sums[came, np.arange(n + 1)]
        if fixed[position]:
            squares[position], previous[position] = least, low + came
        else:
            squares[position, 1:], previous[position, 1:] = least[:-1], (low + came)[:-1]
    return squares, previous


def _walk(
    previous: npt.NDArray[np.int64],
    fixed: npt.NDArray[np.bool_],
    start: int,
    end: int,
    n: int,
) -> list[int]:
    chosen, position, left = [], end, n
    while True:
        free = not fixed[position]
        if free:
            chosen.append(position)
        if position == start:
            return chosen
        position, left = int(previous[position, left]), left - int(free)
