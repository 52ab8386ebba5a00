"""Random search with the same budget and steps as the surrogate-assisted algorithms."""

from typing import final

import numpy as np

from nas.algorithm.base import Algorithm
from nas.algorithm.predicted import initial_design
from nas.run.archive import Archive
from nas.space.base import SearchSpace
from nas.types import Batch, Count, NonNegativeInt


@final
class RandomSearch(Algorithm):
    """Random search: evaluates random architectures, each at most once.

    Genes are sampled uniformly. The steps are those of the other algorithms.

    Example:
        >>> from pathlib import Path
        >>> from nas.algorithm.random import RandomSearch
        >>> from nas.objective.base import TOP1_ERROR
        >>> from nas.space.integer import IntegerSpace
        >>> space = IntegerSpace([0, 0, 0], [4, 4, 4])
        >>> search = RandomSearch(space=space, n_doe=10, n_iter=5, iterations=2)
        >>> archive = Archive.open(Path("archive.jsonl"), [TOP1_ERROR], space.names)
        >>> search.evaluations, search.propose(archive, 0, np.random.default_rng(0)).genomes.shape
        (20, (10, 3))
    """

    def __init__(
        self, *, space: SearchSpace, n_doe: Count = 100, n_iter: Count = 8, iterations: NonNegativeInt = 30
    ) -> None:
        """Set the budget: ``n_doe + iterations * n_iter`` evaluations, as with ``algorithm=msunas``.

        Args:
            space: Search space.
            n_doe: Number of architectures in the initial design.
            n_iter: Number of architectures evaluated in each iteration.
            iterations: Number of iterations after the initial design.
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
