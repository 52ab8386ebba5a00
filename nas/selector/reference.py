"""Selector by reference directions, as in the survival of NSGA-III."""

from typing import final

import moocore
import numpy as np
import numpy.typing as npt

from nas.pareto import non_dominated, reference_directions
from nas.selector.base import Selector
from nas.types import Floats, PositiveInt

_SMALL = 1e-6


@final
class Reference(Selector):
    """Selector by non-dominated sorting and reference directions (NSGA-III, Deb and Jain 2014, Alg. 1-4).

    It takes whole fronts of candidates first. From the front that does not fit as a whole, it takes candidates of the
    directions with the fewest members. NAT (Lu et al. 2021) chooses its evaluations in this way. The published code
    normalizes by the extreme points of all candidates of the run. Here the extreme points of the current candidates
    and the front are used, so that the choice depends on the arguments only.

    Example:
        >>> from nas.selector.reference import Reference
        >>> front = np.array([[10.0, 1.0], [5.0, 4.0]])
        >>> candidates = np.array([[7.0, 2.0], [9.0, 1.5], [4.0, 9.0]])
        >>> rng = np.random.default_rng(0)
        >>> Reference(directions=10).select(candidates, front, 2, rng).shape
        (2,)
    """

    def __init__(self, *, directions: PositiveInt = 100) -> None:
        """Set the number of reference directions.

        Args:
            directions: Number of reference directions. With three or more objectives it is an upper limit: the largest
                grid of Das and Dennis with at most this number is used.
        """
        self._directions = directions

    def choose(
        self, candidates: Floats, front: Floats, n: int, rng: np.random.Generator, covariance: Floats | None
    ) -> npt.NDArray[np.int64]:
        """Return the indices of the ``n`` chosen candidates, ascending, shape (n,)."""
        ranks = moocore.pareto_rank(candidates)
        last = np.sort(ranks)[n - 1]  # rank of the front that does not fit as a whole
        chosen, waiting = np.flatnonzero(ranks < last), np.flatnonzero(ranks == last)
        ideal, nadir = _bounds(np.concatenate([candidates, front]))
        directions = reference_directions(self._directions, candidates.shape[1])
        niches, distances = _nearest_directions((candidates - ideal) / (nadir - ideal), directions)
        counts = np.bincount(niches[chosen], minlength=len(directions))
        filled = _fill(niches[waiting], distances[waiting], counts, n - len(chosen), rng)
        return np.sort(np.concatenate([chosen, waiting[filled]])).astype(np.int64)


def _bounds(points: Floats) -> tuple[Floats, Floats]:
    """Return the ideal point and the nadir point, shape (m,) each, from the hyperplane through the extreme points.

    The nadir point is never beyond the worst values of all points. If there is no such hyperplane, it consists of the
    worst values of the non-dominated points.
    """
    best = points[non_dominated(points)]
    ideal, worst = points.min(axis=0), points.max(axis=0)
    shifted = best - ideal
    weights = np.where(np.eye(points.shape[1]) == 1, 1.0, 1e6)
    extreme = shifted[np.argmin((shifted * weights[:, None]).max(axis=2), axis=1)]
    span = best.max(axis=0) - ideal
    if np.linalg.matrix_rank(extreme) == len(extreme):
        plane = np.linalg.solve(extreme, np.ones(len(extreme)))
        if np.all(plane > 0):
            span = np.minimum(1.0 / plane, worst - ideal)
    span = np.where(span > _SMALL, span, worst - ideal)
    return ideal, ideal + np.where(span > 0, span, 1.0)


def _nearest_directions(points: Floats, directions: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the nearest direction of each normalized point, (k, m), and the distance to it, both (k,)."""
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    along = points @ unit.T
    squares = np.maximum((points**2).sum(axis=1)[:, None] - along**2, 0.0)
    nearest = np.argmin(squares, axis=1)
    return nearest, np.sqrt(squares[np.arange(len(points)), nearest])


def _fill(
    niches: npt.NDArray[np.int64],
    distances: Floats,
    counts: npt.NDArray[np.int64],
    n: int,
    rng: np.random.Generator,
) -> list[int]:
    """Return the indices of ``n`` candidates, each of them from a direction with the fewest members.

    Args:
        niches: Direction of each candidate, shape (k,).
        distances: Distance of each candidate to its direction, shape (k,).
        counts: Number of members of each direction, shape (directions,); changed in place.
        n: Number of candidates to choose, at most k.
        rng: Random generator. It breaks ties between directions, and chooses among the candidates of a direction that
            has members already.
    """
    waiting = {int(niche): list(rng.permutation(np.flatnonzero(niches == niche))) for niche in np.unique(niches)}
    filled: list[int] = []
    while len(filled) < n:
        least = min(counts[niche] for niche in waiting)
        emptiest = [niche for niche in waiting if counts[niche] == least]
        for niche in rng.permutation(emptiest)[: n - len(filled)].tolist():
            members = waiting[niche]
            place = int(np.argmin(distances[members])) if least == 0 else 0
            filled.append(int(members.pop(place)))
            counts[niche] += 1
            if not members:
                del waiting[niche]
    return filled
