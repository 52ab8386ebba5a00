"""Pareto fronts of runs: their history, their hypervolumes, and attainment surfaces of several runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import moocore
import numpy as np

from nas.pareto import hypervolume, non_dominated
from nas.run.box import MARGIN
from nas.run.record import Integers, Record
from nas.types import Floats


@dataclass(frozen=True)
class FrontHistory:
    """Pareto fronts of a run after some of its steps.

    Attributes:
        steps: Steps, ascending, shape (k,). The first and the last step are included.
        evaluations: Number of evaluations up to each of these steps, shape (k,).
        fronts: Indices into the record of the front's architectures after each of these steps, k arrays.
    """

    steps: Integers
    evaluations: Integers
    fronts: Sequence[Integers]

    def lifetimes(self) -> tuple[Integers, Integers, Integers]:
        """Return when each architecture was on the front, as three arrays.

        Returns:
            Indices of all architectures that were ever on a front, the number of evaluations when each entered the
            front, and the number when it left. The last is -1 for architectures on the last front.
        """
        born, died = dict[int, int](), dict[int, int]()
        before: set[int] = set()
        for count, front in zip(self.evaluations.tolist(), self.fronts, strict=True):
            now = set(front.tolist())
            born |= dict.fromkeys(now - born.keys(), count)
            died |= dict.fromkeys(before - now, count)
            before = now
        places = np.array(sorted(born), dtype=np.int64)
        gone = [-1 if place in before else died[place] for place in places.tolist()]
        return places, np.array([born[p] for p in places.tolist()], dtype=np.int64), np.array(gone, dtype=np.int64)


def progress(record: Record, most: int) -> FrontHistory:
    """Return the fronts after at most ``most`` steps, evenly spaced if the run has more."""
    steps, last = np.unique(record.step[::-1], return_index=True)
    counts = len(record.step) - last
    chosen = thinned(len(steps), most)
    steps, counts = steps[chosen], counts[chosen]
    once = len(np.unique(record.architecture)) == len(record.architecture)
    fronts: list[Integers] = []
    for count in counts.tolist():
        if not once or not fronts:
            fronts.append(record.front(count))
            continue
        done = counts[len(fronts) - 1]
        places = np.concatenate([fronts[-1], done + np.flatnonzero(record.ok[done:count])])
        fronts.append(places[non_dominated(record.objectives[places])])
    return FrontHistory(steps, counts, fronts)


def thinned(n: int, most: int) -> Integers:
    """Return at most ``most`` of the indices 0 to n - 1, evenly spaced, including the first and the last.

    Example:
        >>> thinned(9, 3).tolist()
        [0, 4, 8]
    """
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def reference_point(records: Sequence[Record]) -> Floats:
    """Return 1.01 times the worst values of all initial designs, shape (m,)."""
    worst: Floats = np.max([record.objectives[record.ok & (record.step == first_step(record))].max(axis=0)
                            for record in records], axis=0)  # fmt: skip
    return np.where(worst > 0, MARGIN * worst, worst + 1.0)


def first_step(record: Record) -> int:
    """Return the first step with a successful evaluation."""
    return int(record.step[record.ok].min())


def hypervolumes(record: Record, course: FrontHistory, reference: Floats, ideal: Floats) -> Floats:
    """Return the share of the box from ``ideal`` to ``reference`` that each front dominates, shape (k,)."""
    return np.array([hypervolume(record.objectives[front], reference, ideal) for front in course.fronts])


def along(evaluations: Integers, values: Floats, grid: Integers, holds: bool) -> Floats:
    """Return a step curve at the numbers of evaluations in ``grid``, shape (g,); not-a-number outside of the curve.

    Args:
        evaluations: Numbers of evaluations at which the curve changes, ascending, shape (k,).
        values: Values of the curve from these numbers on, shape (k,).
        grid: Numbers of evaluations, shape (g,).
        holds: Whether the curve keeps its last value to the end of the grid.

    Example:
        >>> along(np.array([10, 20]), np.array([0.5, 0.7]), np.array([5, 15, 25]), holds=True)
        array([nan, 0.5, 0.7])
    """
    place = np.searchsorted(evaluations, grid, side="right") - 1
    found = np.where(place >= 0, values[np.maximum(place, 0)], np.nan)
    return np.where((grid > evaluations[-1]) & (not holds), np.nan, found)


LEVELS = ("best", "median", "worst")
"""Names of the surfaces that at least one run, at least half of the runs, and all runs attain."""


def attainment_surfaces(fronts: Sequence[Floats]) -> dict[str, Floats]:
    """Return the surfaces of the empirical attainment function of two objectives (Grunert da Fonseca et al. 2001).

    Args:
        fronts: Front of each run, shape (n_i, 2), minimized.

    Returns:
        Corners of each surface by the names in ``LEVELS``, shape (k, 2), ascending in the first objective.

    Example:
        >>> surfaces = attainment_surfaces([np.array([[1.0, 3.0]]), np.array([[2.0, 1.0]])])
        >>> surfaces["best"].tolist(), surfaces["worst"].tolist()
        ([[1.0, 3.0], [2.0, 1.0]], [[2.0, 3.0]])
    """
    runs = len(fronts)
    points = np.vstack([front[non_dominated(front)] for front in fronts])
    owners = np.repeat(np.arange(runs), [len(non_dominated(front)) for front in fronts])
    wanted = {"best": 1, "median": -(-runs // 2), "worst": runs}
    percentiles = sorted({100.0 * count / runs for count in wanted.values()})
    found = moocore.eaf(points, sets=owners, percentiles=percentiles)
    surfaces = {}
    for name, count in wanted.items():
        surface = found[np.isclose(found[:, 2], 100.0 * count / runs), :2]
        surfaces[name] = surface[np.lexsort((surface[:, 1], surface[:, 0]))]
    return surfaces


def spread(curves: Floats) -> Floats:
    """Return minimum, lower quartile, median, upper quartile and maximum over curves, shape (5, g).

    Args:
        curves: Values of r curves, shape (r, g); not-a-number values are ignored.
    """
    found = np.full((5, curves.shape[1]), np.nan)
    some = ~np.isnan(curves).all(axis=0)
    found[:, some] = np.nanquantile(curves[:, some], [0.0, 0.25, 0.5, 0.75, 1.0], axis=0)
    return found
