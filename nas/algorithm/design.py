"""The architectures that searches begin with."""

import numpy as np

from nas.space.base import SearchSpace, new_rows
from nas.types import Genomes

_ROUNDS = 20
"""Rounds of graded draws, before the rest is drawn uniformly."""


def initial_design(space: SearchSpace, n: int, rng: np.random.Generator, spread: float) -> Genomes:
    """Return the smallest and the largest architecture and ``n - 2`` random others, shape (n, d).

    NSGANetV2, Alg. 1, lines 1-7. Algorithms given equal generators and spreads begin with equal designs. An end that
    breaks a hard constraint is left out. Fewer than ``n`` are returned only where the space has no more.

    Args:
        space: what is searched.
        n: how many.
        rng: the only source of randomness.
        spread: 0 draws every gene uniformly and on its own, as published; otherwise see :func:`graded`.
    """
    ends = np.stack([space.smallest, space.largest])[:n]
    design = ends[space.violation(ends) == 0]
    if spread > 0:
        for _ in range(_ROUNDS):
            drawn = graded(space, n, rng, spread)
            design = np.concatenate([design, new_rows(drawn[space.violation(drawn) == 0], design)])[:n]
            if len(design) == n:
                break
    return np.concatenate([design, space.sample_unseen(n - len(design), design, rng)])


def graded(space: SearchSpace, n: int, rng: np.random.Generator, spread: float) -> Genomes:
    """Draw ``n`` canonical genomes whose genes lean to one side together, shape (n, d).

    Of independent uniform genes nearly all architectures are of middling size, and a model fitted to them has to
    extrapolate to both ends of the front. Here each architecture has a lean t, normal with standard deviation
    ``spread``, and a gene takes its i-th of k choices with a probability proportional to exp(t i / (k - 1)):
    architectures with t far below zero are small throughout, those far above large, and all between are there.
    """
    lean = rng.normal(scale=spread, size=(n, 1))
    genomes = np.tile(space.lower, (n, 1))
    for gene in np.flatnonzero(space.upper > space.lower):
        choices = np.arange(space.upper[gene] - space.lower[gene] + 1)
        weights = np.exp(lean * choices / choices[-1]).cumsum(axis=1)
        drawn = (rng.random((n, 1)) * weights[:, -1:] >= weights).sum(axis=1)
        genomes[:, gene] += np.minimum(drawn, choices[-1])
    return space.canonical(genomes)
