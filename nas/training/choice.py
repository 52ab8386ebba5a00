"""Which architectures the steps of an iteration train."""

import numpy as np

from nas.space.base import SearchSpace
from nas.types import Genomes


def in_turn(genomes: Genomes, n: int, rng: np.random.Generator) -> Genomes:
    """Return ``n`` of the genomes, (k, d) -> (n, d): all of them in random order, again and again."""
    rounds = [rng.permutation(len(genomes)) for _ in range(-(-n // len(genomes)))]
    return genomes[np.concatenate(rounds)[:n]]


def from_distribution(space: SearchSpace, genomes: Genomes, n: int, rng: np.random.Generator) -> Genomes:
    """Return ``n`` genomes whose every gene is drawn from the values that the given ones have, (k, d) -> (n, d).

    Genes are drawn independently (NAT, Lu et al. 2021, section 3.2); only those that express a gene count. Each value
    comes as often as its share says, rounded: a width that half the genomes have gets half the steps.
    """
    drawn = np.tile(space.lower, (n, 1))
    expressed = space.expressed(genomes)
    for gene in range(space.n_genes):
        values = genomes[expressed[:, gene], gene]
        if len(values):
            drawn[:, gene] = in_turn(values[:, None], n, rng)[:, 0]
    return space.canonical(drawn)
