"""The elitist archive of MO-GOMEA: the non-dominated of all evaluations, thinned out where there are too many."""

from typing import final

import numpy as np

from nas.optimizer.dominance import Bools, compare, merge
from nas.optimizer.evaluations import Ids
from nas.types import Floats

_FILL = 0.6  # share of the capacity that thinning out leaves, as 0.75 and 1.25 of a target do in the original


@final
class ElitistArchive:
    """Ids of evaluations that do not dominate each other (Luong et al. 2014, section 3.4).

    Less violation dominates more; so members are either all allowed, or they share the least violation yet.

    Where there would be more members than the capacity, the objective space is divided into boxes, of which each
    holds at most one: the coarsest grid that leaves more than 0.6 of the capacity. The grid goes when there are
    fewer. (In the original a target takes the capacity's place, and 0.75 to 1.25 times the target are allowed.)

    Attributes:
        ids: Members, shape (a,).
        objectives: Objectives of the members, shape (a, m); a front as ``nas.optimizer.dominance`` describes it.
    """

    def __init__(self, capacity: int, n_objectives: int) -> None:
        """Start empty."""
        self._capacity = capacity
        self._n_objectives = n_objectives
        self._violation = np.inf
        self._sides: Floats | None = None  # of a box, shape (m,)
        self._occupied: set[bytes] = set()
        self._empty()

    def _empty(self) -> None:
        self.ids: Ids = np.zeros(0, dtype=np.int64)
        self.objectives: Floats = np.zeros((0, self._n_objectives))
        self._sides = None
        self._occupied = set()

    def dominates(self, objectives: Floats, violations: Floats) -> Bools:
        """Return which of n evaluations, objectives (n, m) and violations (n,), a member dominates, shape (n,)."""
        dominated = compare(objectives, self.objectives)[0]
        result: Bools = (dominated & (violations == self._violation)) | (violations > self._violation)
        return result

    def offer(self, ids: Ids, objectives: Floats, violations: Floats) -> Ids:
        """Take in what no member dominates or equals, of n evaluations: ids (n,), objectives (n, m), violations (n,).

        A box that has a member keeps it. Members that are dominated leave.

        Returns:
            The ids that were taken in, shape (k,).
        """
        lowest = violations.min(initial=np.inf)
        if lowest < self._violation:
            self._violation = float(lowest)
            self._empty()
        dominated, equal = compare(objectives, self.objectives)
        rows = np.flatnonzero(~(dominated | equal) & (violations == self._violation))
        if len(rows) == 0:
            return rows
        size = len(self.ids)
        all_ids = np.concatenate([self.ids, ids[rows]])
        all_objectives = np.concatenate([self.objectives, objectives[rows]])
        kept = merge(self.objectives, objectives[rows])
        if self._sides is not None:
            kept = self._one_a_box(all_objectives, kept, size)
        self.ids, self.objectives = all_ids[kept], all_objectives[kept]
        return all_ids[kept[kept >= size]]

    def _one_a_box(self, objectives: Floats, kept: Ids, size: int) -> Ids:
        """Return ``kept`` without the new ones, those from ``size`` on, whose box is occupied."""
        left = np.ones(size, dtype=bool)
        left[kept[kept < size]] = False
        self._occupied.difference_update(self._boxes(objectives[:size][left]))
        new = np.flatnonzero(kept >= size)
        free = np.ones(len(kept), dtype=bool)
        for position, box in zip(new, self._boxes(objectives[kept[new]]), strict=True):
            free[position] = box not in self._occupied
            self._occupied.add(box)
        return kept[free]

    def _boxes(self, objectives: Floats) -> list[bytes]:
        assert self._sides is not None
        return _rows(np.floor(objectives / self._sides).astype(np.int64))

    def thin_out(self) -> None:
        """Divide the objective space anew where there are too many members, or no longer where there are few."""
        few = int(_FILL * self._capacity)
        if self._sides is not None and len(self.ids) < few:
            self._sides = None
        if len(self.ids) <= self._capacity:
            return
        span = np.ptp(self.objectives, axis=0)
        coarse, fine = 1, 1 << 25  # boxes along each objective
        while fine - coarse > 1:
            middle = (coarse + fine) // 2
            self._sides = span / middle
            if len(set(self._boxes(self.objectives))) <= few:
                coarse = middle
            else:
                fine = middle
        for parts in (fine, coarse):
            self._sides = span / parts
            boxes = self._boxes(self.objectives)
            if len(set(boxes)) <= self._capacity:
                break
        self._occupied = set(boxes)
        first = np.sort(np.unique(np.array(boxes, dtype=object), return_index=True)[1])
        self.ids, self.objectives = self.ids[first], self.objectives[first]


def _rows(values: Ids) -> list[bytes]:
    contiguous = np.ascontiguousarray(values)
    result: list[bytes] = contiguous.view(f"V{contiguous.shape[1] * 8}").ravel().tolist()
    return result
