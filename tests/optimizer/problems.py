"""Small problems for optimizers and their parts."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from nas.optimizer.base import Problem
from nas.space.base import SearchSpace
from nas.types import Architecture, Floats, Genomes


class Plain(SearchSpace):
    """Genes between any bounds, all of them expressed."""

    def __init__(self, lower: list[int], upper: list[int]) -> None:
        self.lower, self.upper = np.array(lower), np.array(upper)
        self.names = tuple(f"gene{i}" for i in range(len(lower)))

    def canonical(self, genomes: Genomes) -> Genomes:
        self.validate(genomes)
        return genomes

    def decode(self, genome: Genomes) -> Architecture:
        return Architecture(tuple(genome.tolist()), {})

    def encode(self, config: Mapping[str, Any]) -> Genomes:
        raise NotImplementedError


class Conflict:
    """Rising against falling in the genes, with interactions between neighbours; keeps what it was asked."""

    def __init__(self, space: SearchSpace, m: int = 2, limit: float = np.inf) -> None:
        self.calls: list[Genomes] = []
        self._space = space
        self._limit = limit
        self._weights = 1 + np.arange(space.n_genes) / 8  # sums of them are exact
        self.problem = Problem(space, self._record, m, self.violation)

    @property
    def asked(self) -> Genomes:
        return np.concatenate(self.calls)

    def _record(self, genomes: Genomes) -> Floats:
        self.calls.append(genomes.copy())
        return self.objectives(genomes)

    def objectives(self, genomes: Genomes) -> Floats:
        genes = (genomes - self._space.lower).astype(np.float64)
        cost = genes @ self._weights
        error = 100 - 10 * np.sqrt(cost) + (genes[:, 1:] * (genes[:, :-1] % 2)).sum(axis=1)
        return np.column_stack([error, cost, np.abs(cost - 9) + genes[:, 0]])[:, : self.problem.n_objectives]

    def violation(self, genomes: Genomes, objectives: Floats) -> Floats:
        return np.maximum(0.0, objectives[:, 1] - self._limit)


def every_genome(space: SearchSpace) -> Genomes:
    """Return all canonical genomes, shape (n, d)."""
    choices = [range(low, high + 1) for low, high in zip(space.lower, space.upper, strict=True)]
    return np.unique(space.canonical(np.array(list(product(*choices)))), axis=0)


def traps(order: Genomes) -> Problem:
    """Deceptive trap of five bits against the inverse trap; blocks are five neighbours in ``order``."""

    def evaluate(genomes: Genomes) -> Floats:
        ones = genomes[:, order].reshape(len(genomes), -1, 5).sum(axis=2)
        zeros = 5 - ones
        return -np.column_stack([np.where(n == 5, 5, 4 - n).sum(axis=1) for n in (ones, zeros)]).astype(np.float64)

    space = Plain([0] * len(order), [1] * len(order))
    return Problem(space, evaluate, 2, lambda genomes, _: np.zeros(len(genomes)))
