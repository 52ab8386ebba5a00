"""How the fronts of runs grew, and how large a share of one common box they dominate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.pareto import hypervolume, non_dominated
from nas.run.record import Integers, Record
from nas.types import Floats

MARGIN = 1.01
"""The reference point is the worst of the initial designs times this, as in NSGANetV2."""


@dataclass(frozen=True)
class FrontHistory:
    """A run after some of its steps.

    Attributes:
        steps: after which, ascending, shape (k,); the first and the last among them.
        evaluations: made until then, shape (k,).
        fronts: places in the record of what was on the front then, k arrays.
    """

    steps: Integers
    evaluations: Integers
    fronts: Sequence[Integers]

    def lifetimes(self) -> tuple[Integers, Integers, Integers]:
        """Return what was ever on a front: place, and the evaluations when it was first and no longer there.

        The latter is -1 for what is on the last front.
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
    """Return the fronts after at most ``most`` steps, evenly spaced where there are more."""
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
    """Return at most ``most`` of the places 0 to n - 1, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def reference_point(records: Sequence[Record]) -> Floats:
    """Return the worst of all initial designs times 1.01, shape (m,): one corner for all runs."""
    worst: Floats = np.max([record.objectives[record.ok & (record.step == first_step(record))].max(axis=0)
                            for record in records], axis=0)  # fmt: skip
    return np.where(worst > 0, MARGIN * worst, worst + 1.0)


def first_step(record: Record) -> int:
    """Return the first step in which an evaluation succeeded."""
    return int(record.step[record.ok].min())


def hypervolumes(record: Record, course: FrontHistory, reference: Floats, ideal: Floats) -> Floats:
    """Return the share of the box from ``ideal`` to ``reference`` that each front dominates, shape (k,)."""
    return np.array([hypervolume(record.objectives[front], reference, ideal) for front in course.fronts])


def along(evaluations: Integers, values: Floats, grid: Integers, holds: bool) -> Floats:
    """Return a curve of steps at the numbers of evaluations in ``grid``; not-a-number where it is not.

    Args:
        evaluations: where the curve changes, ascending, shape (k,).
        values: from there on, shape (k,).
        grid: shape (g,).
        holds: whether the last value stays; otherwise the curve ends there.
    """
    place = np.searchsorted(evaluations, grid, side="right") - 1
    found = np.where(place >= 0, values[np.maximum(place, 0)], np.nan)
    return np.where((grid > evaluations[-1]) & (not holds), np.nan, found)
