"""Record of the evaluations in one run of an optimizer: each genome is evaluated once, within a budget."""

from typing import final

import numpy as np
import numpy.typing as npt

from nas.optimizer.base import Problem
from nas.types import Floats, Genomes

Ids = npt.NDArray[np.int64]


@final
class Evaluations:
    """Evaluator and record of genomes in canonical form; each genome has an id, counted from 0.

    Known genomes are recognized by their exact bytes, usually one or two per gene. 600,000 genomes of ten genes take
    about 100 MB of memory.

    Attributes:
        n: Number of genomes evaluated so far, k.
        budget: Maximum number of evaluations.
        objectives: Objectives of the genomes, shape (k, m), followed by unused rows. The id is the row index.
        violations: Constraint violations of the genomes, shape (k,), followed by unused entries; 0 for allowed genomes.
    """

    def __init__(self, problem: Problem, budget: int) -> None:
        """Create an empty record.

        Args:
            problem: Problem to evaluate.
            budget: Maximum number of evaluations.
        """
        self.n = 0
        self.budget = budget
        self._problem = problem
        self._lower = problem.space.lower
        self._known: dict[bytes, int] = {}
        largest = int((problem.space.upper - self._lower).max())
        self._genomes: npt.NDArray[np.unsignedinteger] = np.empty(
            (0, problem.space.n_genes), dtype=np.min_scalar_type(largest)
        )
        self.objectives: Floats = np.empty((0, problem.n_objectives))
        self.violations: Floats = np.empty(0)

    @property
    def spent(self) -> bool:
        """Whether the budget is spent."""
        return self.n >= self.budget

    def genomes(self, ids: Ids) -> Genomes:
        """Return the canonical genomes, shape (k, d), with these ids, shape (k,)."""
        return self._genomes[ids] + self._lower

    def __call__(self, genomes: Genomes) -> Ids:
        """Return the ids of genomes, canonical or not, (n, d) -> (n,), and evaluate the new ones.

        New genomes get ids from the previous ``n`` on, in their order. The id is -1 for new genomes beyond the budget.
        """
        canonical = self._problem.space.canonical(genomes)
        compact = np.ascontiguousarray(canonical - self._lower, dtype=self._genomes.dtype)
        keys: list[bytes] = compact.view(f"V{compact.shape[1] * compact.itemsize}").ravel().tolist()
        known = self._known
        ids = np.array([known.setdefault(key, len(known)) for key in keys], dtype=np.int64)
        if len(known) > self.n:
            new = np.arange(self.n, len(known))
            first = np.searchsorted(np.maximum.accumulate(ids), new)  # row of the first occurrence of each new genome
            if len(known) > self.budget:
                for row in first[new >= self.budget]:
                    del known[keys[row]]
                ids[ids >= self.budget] = -1
                first = first[new < self.budget]
            if len(first):
                self._evaluate(canonical[first], compact[first])
        return ids

    def _evaluate(self, canonical: Genomes, compact: npt.NDArray[np.unsignedinteger]) -> None:
        start, end = self.n, self.n + len(canonical)
        if end > len(self.violations):
            room = min(max(2 * end, 1024), self.budget)
            self._genomes = _longer(self._genomes, room)
            self.objectives = _longer(self.objectives, room)
            self.violations = _longer(self.violations, room)
        values = self._problem.evaluate(canonical)
        self._genomes[start:end] = compact
        self.objectives[start:end] = values
        self.violations[start:end] = self._problem.violation(canonical, values)
        self.n = end


def _longer(array: npt.NDArray, length: int) -> npt.NDArray:  # type: ignore[type-arg]
    longer = np.empty((length, *array.shape[1:]), dtype=array.dtype)
    longer[: len(array)] = array
    return longer
