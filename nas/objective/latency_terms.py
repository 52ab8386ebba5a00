"""Terms of a network's latency: one for each of its blocks, derived from a table of exact costs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nas.space.base import SearchSpace
from nas.space.table import CostTable
from nas.types import Floats, Genomes

ABSENT = -1
"""Kind of an absent block."""

_LAYER = re.compile(r"stage\d+\.layer\d+")
_PROBES = 64


@dataclass(frozen=True, eq=False)
class Term:
    """Block of a search space's networks, with its variants.

    Attributes:
        name: Name in the cost table: ``"stage1.layer2"`` for a layer, other names for parts of every network.
        genes: Indices of the genes that the block depends on.
        macs: Multiply-adds of the block, with one axis for each gene; 0 if the block is absent.

    Example:
        >>> term = Term("stage1.layer1", (0, 1), np.array([[0, 0], [10, 20]]))  # depth, then kernel size
        >>> term.is_layer, term.kinds.tolist()
        (True, [[-1, -1], [0, 1]])
    """

    name: str
    genes: tuple[int, ...]
    macs: npt.NDArray[np.int64]

    @property
    def is_layer(self) -> bool:
        """Whether the block is a layer of a stage, and not a part before or after all stages."""
        return _LAYER.fullmatch(self.name) is not None

    @cached_property
    def kinds(self) -> npt.NDArray[np.int64]:
        """The kind of block for each choice of the genes, in the shape of ``macs``.

        Choices with the same kind, a number from 0, give the same block; ``ABSENT`` marks an absent block. A gene that
        decides only whether the block is present, such as the depth, does not create kinds.
        """
        present = self.macs > 0
        index = np.indices((1, *self.macs.shape))[:, 0]
        for axis in range(self.macs.ndim):
            most = np.where(present, self.macs, 0).max(axis=axis)
            least = np.where(present, self.macs, most.max() + 1).min(axis=axis)
            if (most == least)[present.any(axis=axis)].all():
                index[1 + axis] = 0
        kinds = np.full(self.macs.shape, ABSENT, dtype=np.int64)
        kinds[present] = np.unique(index[:, present], axis=1, return_inverse=True)[1].ravel()
        return kinds

    @property
    def n_kinds(self) -> int:
        """The number of kinds."""
        return int(self.kinds.max()) + 1

    def kind(self, genomes: Genomes) -> npt.NDArray[np.int64]:
        """Return the kind of the block in each genome, (n, d) -> (n,)."""
        found: npt.NDArray[np.int64] = self.kinds[tuple(genomes[:, list(self.genes)].T)]
        return np.broadcast_to(found, len(genomes))

    def values(self, of_kinds: Floats) -> Floats:
        """Expand one value for each kind to the shape of ``macs``; 0 if the block is absent."""
        return np.where(self.kinds == ABSENT, 0.0, of_kinds[self.kinds])


def terms_of(space: SearchSpace, macs: CostTable) -> list[Term]:
    """Return the terms of a supernet's table of multiply-adds, in the order of the network's blocks."""
    genes = _genes_of(space, macs)
    return [Term(name, which, _spread(space, macs, name, which)) for name, which in genes.items()]


def _genes_of(space: SearchSpace, macs: CostTable) -> dict[str, tuple[int, ...]]:
    """Return the genes of each term by name: those that change its value in a sample of genomes."""
    rng = np.random.default_rng(0)
    random = rng.integers(space.lower, space.upper, size=(_PROBES, space.n_genes), endpoint=True)
    base = np.concatenate([random, space.largest[None]])
    found: dict[str, list[int]] = {name: [] for name in macs.parts(base[:1])}
    for gene in range(space.n_genes):
        n_choices = int(space.upper[gene]) + 1
        varied = np.repeat(base[None], n_choices, axis=0)
        varied[:, :, gene] = np.arange(n_choices)[:, None]
        for name, values in macs.parts(varied.reshape(-1, space.n_genes)).items():
            each = values.reshape(n_choices, len(base))
            if (each != each[0]).any():
                found[name].append(gene)
    return {name: tuple(genes) for name, genes in found.items()}


def _spread(space: SearchSpace, macs: CostTable, name: str, genes: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return a term's values for all choices of its genes; 0 for choices that no canonical genome has."""
    shape = tuple(int(space.upper[gene]) + 1 for gene in genes)
    genomes = np.zeros((int(np.prod(shape)), space.n_genes), dtype=np.int64)
    genomes[:, list(genes)] = np.indices(shape).reshape(len(shape), len(genomes)).T
    made = (space.canonical(genomes)[:, list(genes)] == genomes[:, list(genes)]).all(axis=1)
    values: npt.NDArray[np.int64] = np.where(made, macs.parts(genomes)[name], 0).reshape(shape)
    return values


def covering(space: SearchSpace, terms: Sequence[Term], rng: np.random.Generator) -> Genomes:
    """Return a small set of canonical genomes, (n, d), that contains each kind of each term at least once."""
    choices = [np.argwhere(term.kinds != ABSENT) for term in terms]
    kinds = [term.kinds[term.kinds != ABSENT] for term in terms]
    missing = [np.ones(term.n_kinds, dtype=bool) for term in terms]
    rarity = np.array([(term.kinds != ABSENT).mean() for term in terms])
    genomes: list[Genomes] = []
    while any(each.any() for each in missing):
        genome = np.full(space.n_genes, ABSENT)
        # Blocks that are rarely present come first, because they decide depths.
        for t in np.lexsort((rng.random(len(terms)), rarity)):
            genes = list(terms[t].genes)
            agrees = ((genome[genes] == ABSENT) | (choices[t] == genome[genes])).all(axis=1)
            candidates = np.flatnonzero(agrees & missing[t][kinds[t]])
            if len(candidates):
                genome[genes] = choices[t][rng.choice(candidates)]
        anything = rng.integers(space.lower, space.upper, endpoint=True)
        genomes.append(space.canonical(np.where(genome == ABSENT, anything, genome)[None])[0])
        for term, each in zip(terms, missing, strict=True):
            kind = int(term.kind(genomes[-1][None])[0])
            if kind != ABSENT:
                each[kind] = False
    return np.array(genomes)
