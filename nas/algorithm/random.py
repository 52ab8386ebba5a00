"""Random search with the budget of a surrogate-assisted one."""

from typing import final

import numpy as np

from nas.algorithm.base import Algorithm
from nas.algorithm.predicted import initial_design
from nas.run.archive import Archive
from nas.space.base import SearchSpace
from nas.types import Batch, Count, NonNegativeInt


@final
class RandomSearch(Algorithm):
    """Evaluates architectures drawn uniformly, none twice, in the same steps as the other algorithms."""

    def __init__(
        self, *, space: SearchSpace, n_doe: Count = 100, n_iter: Count = 8, iterations: NonNegativeInt = 30
    ) -> None:
        """Set the budget: ``n_doe + iterations * n_iter`` evaluations, as in ``algorithm=msunas``.

        Args:
            space: Search space.
            n_doe: Architectures in the initial design.
            n_iter: Architectures evaluated in each iteration.
            iterations: Iterations after the initial design.
        """
        self._space = space
        self._n_doe = n_doe
        self._n_iter = n_iter
        self.steps = iterations + 1
        self.evaluations = n_doe + iterations * n_iter

    def propose(self, archive: Archive, step: int, rng: np.random.Generator) -> Batch:
        """Return the initial design, or ``n_iter`` new architectures."""
        if step == 0:
            return Batch(initial_design(self._space, self._n_doe, rng))
        return Batch(self._space.sample_unseen(self._n_iter, archive.genomes(), rng))
