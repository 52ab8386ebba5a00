"""The initial design that all algorithms share."""

import numpy as np

from nas.space.base import SearchSpace, new_rows
from nas.types import Genomes


def initial_design(space: SearchSpace, n: int, rng: np.random.Generator) -> Genomes:
    """Return the smallest and the largest architecture and ``n - 2`` random others, shape (n, d).

    NSGANetV2, Alg. 1, lines 1-7. Algorithms given equal generators begin with equal designs. An end that breaks a
    hard constraint is left out. Fewer than ``n`` are returned only where the space has no more.
    """
    ends = np.stack([space.smallest, space.largest])[:n]
    ends = new_rows(ends[space.violation(ends) == 0], ends[:0])  # in a space of one architecture both are the same
    return np.concatenate([ends, space.sample_unseen(n - len(ends), ends, rng)])
