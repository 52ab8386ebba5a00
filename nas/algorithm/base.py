"""Search algorithms: what to evaluate next, as a function of what was evaluated."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

import numpy as np

from nas.run.archive import Archive
from nas.types import Batch


class Algorithm(ABC):
    """Base class for search algorithms. They have no state: candidates follow from archive, step and generator.

    Attributes:
        steps: Number of batches in a whole run, the initial design included.
        evaluations: Number of evaluations in a whole run.
        reevaluates: Whether it proposes architectures again, whose weights have changed since.

    Example:
        >>> import numpy as np
        >>> from nas.types import Batch
        >>> class AllOnes(Algorithm):
        ...     steps, evaluations = 1, 1
        ...     def propose(self, archive, step, rng):
        ...         return Batch(np.ones((1, len(archive.gene_names)), dtype=np.int64))
        >>> AllOnes().reevaluates
        False
    """

    steps: int
    evaluations: int
    reevaluates: bool = False

    @abstractmethod
    def propose(self, archive: Archive, step: int, rng: np.random.Generator) -> Batch:
        """Return the candidates of ``step``; an empty batch where the search space is used up.

        Args:
            archive: Every evaluation of the steps before.
            step: 0 to ``steps - 1``.
            rng: The only source of randomness.
        """


@contextmanager
def timed(seconds: MutableMapping[str, float], activity: str) -> Iterator[None]:
    """Add the seconds that the block takes to those of ``activity``."""
    start = time.perf_counter()
    yield
    seconds[activity] = seconds.get(activity, 0.0) + time.perf_counter() - start
