"""Plain integer search spaces, for networks that are trained elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np

from nas.errors import UserError
from nas.space.base import SearchSpace, check_keys
from nas.types import Architecture, Genomes


@final
class IntegerSpace(SearchSpace):
    """Search space of integer vectors between two bounds; each vector is an architecture of its own.

    ``Architecture.config`` has one key for each gene, its name.

    Example:
        >>> space = IntegerSpace([0, 3], [2, 7], names=["depth", "width"])
        >>> space.size()
        15
        >>> space.decode(space.largest).config
        {'depth': 2, 'width': 7}
    """

    def __init__(self, lower: Sequence[int], upper: Sequence[int], names: Sequence[str] | None = None) -> None:
        """Set the bounds.

        Args:
            lower: Smallest value of each gene, length d.
            upper: Largest value of each gene, inclusive, length d.
            names: Names of the genes, all different, length d; None for ``x0``, ``x1``, ...

        Raises:
            UserError: If the lengths differ, a lower bound is above the upper one, or two names are equal.
        """
        self.lower, self.upper = np.array(lower, dtype=np.int64), np.array(upper, dtype=np.int64)
        if self.lower.ndim != 1 or self.lower.shape != self.upper.shape or len(self.lower) == 0:
            raise UserError(f"bounds are two lists of one length, not {len(lower)} and {len(upper)} values")
        wrong = np.flatnonzero(self.lower > self.upper)
        if len(wrong):
            gene = int(wrong[0])
            raise UserError(f"gene {gene}: the lower bound {lower[gene]} is above the upper bound {upper[gene]}")
        self.names = tuple(f"x{gene}" for gene in range(len(lower))) if names is None else tuple(names)
        if len(self.names) != len(self.lower) or len(set(self.names)) < len(self.names):
            raise UserError(f"names are {len(self.lower)} different texts, one a gene, not {list(self.names)}")

    def canonical(self, genomes: Genomes) -> Genomes:
        """Return the genomes, (n, d), as they are: every gene is expressed."""
        return genomes

    def decode(self, genome: Genomes) -> Architecture:
        """Return the architecture of one genome, (d,): its values by name."""
        values = tuple(int(value) for value in genome)
        return Architecture(values, dict(zip(self.names, values, strict=True)))

    def encode(self, config: Mapping[str, Any]) -> Genomes:
        """Return the genome, (d,), of values by name; UserError if a name is missing or a value is out of range."""
        check_keys(config, self.names)
        genome = np.array([[config[name] for name in self.names]], dtype=np.int64)
        self.validate(genome)
        return np.asarray(genome[0])
