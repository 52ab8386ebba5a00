"""Elitist archive of MO-GOMEA: the non-dominated evaluations, thinned out if there are too many."""

from typing import final

import numpy as np

from nas.optimizer.dominance import Bools, compare, merge
from nas.optimizer.evaluations import Ids
from nas.types import Floats

# Share of the capacity that thinning out leaves. The original allows 0.75 to 1.25 of a target, a ratio of 0.6.
_FILL = 0.6


@final
class ElitistArchive:
    """Archive of the ids of non-dominated evaluations (Luong et al. 2014, section 3.4).

    A smaller constraint violation dominates a larger one. Therefore all members have the same violation: 0, or the
    least violation so far.

    If there are more members than the capacity, a grid divides the objective space into boxes, each with at most one
    member. It is the coarsest grid that leaves more than 0.6 of the capacity. The grid is removed when there are fewer
    members. The original has a target size in place of the capacity, and allows 0.75 to 1.25 times the target.

    Attributes:
        ids: Ids of the members, shape (a,).
        objectives: Objectives of the members, shape (a, m), a front in the sense of ``nas.optimizer.dominance``.
    """

    def __init__(self, capacity: int, n_objectives: int) -> None:
        """Create an empty archive.

        Args:
            capacity: Maximum number of members after :meth:`thin_out`.
            n_objectives: Number of objectives, m.
        """
        self._capacity = capacity
        self._n_objectives = n_objectives
        self._violation = np.inf
        self._sides: Floats | None = None  # side lengths of a box, shape (m,); None without a grid
        self._occupied: set[bytes] = set()
        self._empty()

    def _empty(self) -> None:
        self.ids: Ids = np.zeros(0, dtype=np.int64)
        self.objectives: Floats = np.zeros((0, self._n_objectives))
        self._sides = None
        self._occupied = set()

    def dominates(self, objectives: Floats, violations: Floats) -> Bools:
        """Return a mask, (n,), of the evaluations that a member dominates.

        Args:
            objectives: Objectives of the evaluations, shape (n, m).
            violations: Constraint violations of the evaluations, shape (n,).
        """
        dominated = compare(objectives, self.objectives)[0]
        result: Bools = (dominated & (violations == self._violation)) | (violations > self._violation)
        return result

    def offer(self, ids: Ids, objectives: Floats, violations: Floats) -> Ids:
        """Add the evaluations that no member dominates or equals, and remove the members that they dominate.

        With a grid, an evaluation is not added if its box has a member.

        Args:
            ids: Ids of the evaluations, shape (n,).
            objectives: Objectives of the evaluations, shape (n, m).
            violations: Constraint violations of the evaluations, shape (n,).

        Returns:
            Ids of the added evaluations, shape (k,).
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
        """Return ``kept`` without new evaluations, indices from ``size`` on, whose box is occupied."""
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
        """Set a new grid if there are more members than the capacity, and remove the grid if there are few members."""
        few = int(_FILL * self._capacity)
        if self._sides is not None and len(self.ids) < few:
            self._sides = None
        if len(self.ids) <= self._capacity:
            return
        span = np.ptp(self.objectives, axis=0)
        coarse, fine = 1, 1 << 25  # numbers of boxes along each objective
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
