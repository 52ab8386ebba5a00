"""Base class for search algorithms, which propose the candidates of each step."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

import numpy as np

from nas.run.archive import Archive
from nas.types import Batch


class Algorithm(ABC):
    """Base class for search algorithms.

    Algorithms have no state. The archive, the step and the random generator determine the candidates, so that a
    resumed run proposes the same candidates as an uninterrupted one.

    Attributes:
        steps: Number of batches in a complete run, including the initial design.
        evaluations: Number of evaluations in a complete run.
        reevaluates: Whether the algorithm proposes evaluated architectures again, because training has changed the
            supernet's weights since.

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
        """Return the candidates of ``step``; an empty batch if no architectures are left in the search space.

        Args:
            archive: Archive with the evaluations of all earlier steps.
            step: Index of the step, 0 to ``steps - 1``; step 0 is the initial design.
            rng: Random generator, the only source of randomness.
        """


@contextmanager
def timed(seconds: MutableMapping[str, float], activity: str) -> Iterator[None]:
    """Add the duration of the ``with`` block to ``seconds[activity]``.

    Args:
        seconds: Durations in seconds, by activity; changed in place.
        activity: Name of the activity, for example ``"fit"``.
    """
    start = time.perf_counter()
    yield
    seconds[activity] = seconds.get(activity, 0.0) + time.perf_counter() - start
