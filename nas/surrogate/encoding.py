"""Features of genomes that say which choices are there, for surrogates that know the search space."""

import numpy as np

from nas.space.base import SearchSpace
from nas.types import Floats, Genomes


class Encoding:
    """Turns canonical genomes into numbers: each gene's value from 0 to 1, and a one at its choice if it is expressed.

    A gene is expressed where another choice of it makes another architecture. Those that are not have the value 0 and
    no choice, so that an absent layer differs from one with the smallest choice.

    Attributes:
        kinds: of each feature, shape (f,): features whose genes have one name but for the place
            (``stage0.layer1.kernel_size`` and ``stage3.layer0.kernel_size``) are of one kind; values and choices are
            of different kinds.
        n_kinds: how many kinds there are.
    """

    def __init__(self, space: SearchSpace) -> None:
        """Lay out the features of the space's genes; those with a single choice have none."""
        self._space = space
        self._genes = np.flatnonzero(space.upper > space.lower)
        lengths = (space.upper - space.lower + 1)[self._genes]
        self._columns = np.repeat(self._genes, lengths)
        self._levels = np.concatenate(
            [np.arange(space.lower[gene], space.upper[gene] + 1) for gene in self._genes] or [self._genes]
        )
        names = [name.rpartition(".")[2].rstrip("0123456789") for name in space.names]
        ranks = {name: rank for rank, name in enumerate(dict.fromkeys(names[gene] for gene in self._genes))}
        kind = np.array([ranks.get(name, 0) for name in names], dtype=np.int64)
        self.kinds = np.concatenate([kind[self._genes], kind[self._columns] + len(ranks)])
        self.n_kinds = 2 * len(ranks)

    def __call__(self, genomes: Genomes) -> Floats:
        """Return the features, (n, d) -> (n, f)."""
        lower, upper = self._space.lower[self._genes], self._space.upper[self._genes]
        values = (genomes[:, self._genes] - lower) / (upper - lower)
        chosen = (genomes[:, self._columns] == self._levels) & self._space.expressed(genomes)[:, self._columns]
        return np.concatenate([values, chosen], axis=1)
