"""Candidates by reference directions, as NSGA-III selects survivors."""

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
    """Whole fronts of candidates first, then those that fill the emptiest directions (Deb and Jain 2014, Alg. 1-4).

    This is how NAT (Lu et al. 2021) picks what it evaluates. The published code normalizes by the extreme points of
    all the candidates it ever saw; here those of the candidates and of the known front take their place, so that
    the choice depends on nothing but its arguments.
    """

    def __init__(self, *, directions: PositiveInt = 100) -> None:
        """Set the number of reference directions.

        Args:
            directions: Number of reference directions; with three or more objectives the largest grid that is not
                larger.
        """
        self._directions = directions

    def choose(
        self, candidates: Floats, front: Floats, n: int, rng: np.random.Generator, covariance: Floats | None
    ) -> npt.NDArray[np.int64]:
        """Return the indices of the ``n`` chosen candidates, ascending, shape (n,)."""
        ranks = moocore.pareto_rank(candidates)
        last = np.sort(ranks)[n - 1]  # the front that does not fit as a whole
        chosen, waiting = np.flatnonzero(ranks < last), np.flatnonzero(ranks == last)
        ideal, nadir = _bounds(np.concatenate([candidates, front]))
        directions = reference_directions(self._directions, candidates.shape[1])
        niches, distances = _nearest_directions((candidates - ideal) / (nadir - ideal), directions)
        counts = np.bincount(niches[chosen], minlength=len(directions))
        filled = _fill(niches[waiting], distances[waiting], counts, n - len(chosen), rng)
        return np.sort(np.concatenate([chosen, waiting[filled]])).astype(np.int64)


def _bounds(points: Floats) -> tuple[Floats, Floats]:
    """Return the ideal point and the nadir, shape (m,) each, by the hyperplane through the extreme points.

    Where there is no such plane, or it lies beyond all points, the worst of the non-dominated points count.
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
    """Return the direction that each normalised point, (k, m), lies nearest to, and how far off, both (k,)."""
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
    """Return ``n`` of the waiting, one after the other from a direction with the fewest members.

    Args:
        niches: Direction of each that waits, shape (k,).
        distances: Distance of each candidate, shape (k,).
        counts: Members of all directions so far, shape (directions,); changed in place.
        n: Number of candidates to choose, at most k.
        rng: Chooses among directions with equally many members, and among the waiting of one that has any.
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
