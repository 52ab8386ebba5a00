"""Search spaces: genomes of integers and the architectures they stand for."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.errors import UserError, unknown
from nas.space.table import CostTable
from nas.types import Architecture, Floats, Genomes

_CHUNK = 1000
"""Genomes that are looked at together."""

_LISTED = 1_000_000
"""Combinations of genes up to which all of them are looked at where draws find nothing new."""


def new_rows(genomes: Genomes, seen: Genomes) -> Genomes:
    """Return the rows of ``genomes``, (n, d), that are not among ``seen``, each once, in their order."""
    known = {row.tobytes() for row in np.ascontiguousarray(seen, dtype=np.int64)}
    keep = []
    for i, row in enumerate(np.ascontiguousarray(genomes, dtype=np.int64)):
        if row.tobytes() not in known:
            known.add(row.tobytes())
            keep.append(i)
    return genomes[keep]


def choice_index(key: str, value: object, choices: Sequence[float]) -> int:
    """Return the gene that stands for ``value``; UserError, naming ``key`` and the choices, if it is none of them."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value not in choices:
        raise UserError(f"{key} is {value!r}; choices are {', '.join(map(str, choices))}")
    return choices.index(value)


class SearchSpace(ABC):
    """Base class for search spaces: architectures, each with one canonical integer genome.

    Attributes:
        lower, upper: Bounds of each gene, inclusive, shape (d,).
        names: Names of the genes, for example ``"stage1.depth"``, length d.

    Example:
        >>> from nas.space.choices import ChoiceSpace
        >>> space = ChoiceSpace({"depth": (1, 2), "r": (24, 32)})
        >>> space.size(), space.n_genes
        (4, 2)
        >>> space.sample(3, np.random.default_rng(0)).shape
        (3, 2)
    """

    lower: Genomes
    upper: Genomes
    names: tuple[str, ...]

    @property
    def n_genes(self) -> int:
        """The number of genes, d."""
        return len(self.lower)

    @abstractmethod
    def canonical(self, genomes: Genomes) -> Genomes:
        """Return the genomes, shape (n, d), with every gene that is not expressed at its lower bound."""

    @abstractmethod
    def decode(self, genome: Genomes) -> Architecture:
        """Return the architecture of one genome, shape (d,), canonical or not."""

    @abstractmethod
    def encode(self, config: Mapping[str, Any]) -> Genomes:
        """Return the canonical genome, shape (d,), of an architecture as the original tools write it.

        Raises:
            UserError: If it is none of this space; the message names the key and the choices.
        """

    def text(self, gene: int, value: int) -> str:
        """Return what a value of a gene stands for, as figures show it, for example ``"5"`` for a kernel's side."""
        return str(value)

    def expressed(self, genomes: Genomes) -> npt.NDArray[np.bool_]:
        """Return whether each gene of canonical genomes, (n, d), matters, (n, d).

        It does where another choice of it makes another architecture: where it is above its lower bound, or would
        stay at its upper one.
        """
        result = genomes > self.lower
        for start in range(0, len(genomes), _CHUNK):
            rows, genes = np.nonzero(~result[start : start + _CHUNK])
            raised = genomes[start + rows]
            raised[np.arange(len(rows)), genes] = self.upper[genes]
            kept = self.canonical(raised)[np.arange(len(rows)), genes] > self.lower[genes]
            result[start + rows, genes] = kept
        return result

    def violation(self, genomes: Genomes) -> Floats:
        """Return by how much canonical genomes, (n, d), break hard constraints, (n,): 0 for allowed ones."""
        return np.zeros(len(genomes))

    def sample(self, n: int, rng: np.random.Generator) -> Genomes:
        """Draw ``n`` canonical genomes, shape (n, d), each gene uniformly and on its own."""
        return self.canonical(rng.integers(self.lower, self.upper, size=(n, self.n_genes), endpoint=True))

    def sample_unseen(self, n: int, seen: Genomes, rng: np.random.Generator) -> Genomes:
        """Draw up to ``n`` different genomes that are not among ``seen``, shape (k, d).

        Where ``100 n`` draws do not find that many, the others come from a list of what is left. Fewer than ``n`` are
        returned where nothing is left, or where the space is too large to list.
        """
        found = np.zeros((0, self.n_genes), dtype=np.int64)
        for _ in range(100):
            if len(found) == n:
                return found
            found = np.concatenate([found, new_rows(self.sample(n, rng), np.concatenate([seen, found]))])[:n]
        left = self.unseen(np.concatenate([seen, found])) if len(found) < n else None
        return found if left is None else np.concatenate([found, rng.permutation(left)[: n - len(found)]])

    def unseen(self, seen: Genomes) -> Genomes | None:
        """Return all genomes that keep hard constraints and are not among ``seen``, shape (k, d), ascending.

        ``None`` where genes have more than a million combinations.
        """
        choices = [int(count) for count in self.upper - self.lower + 1]
        total = prod(choices)
        if total > _LISTED:
            return None
        repeats = np.array([prod(choices[gene + 1 :]) for gene in range(len(choices))])
        parts = []
        for start in range(0, total, 100 * _CHUNK):
            numbers = np.arange(start, min(start + 100 * _CHUNK, total))
            genomes = self.lower + numbers[:, None] // repeats % choices
            different = np.unique(self.canonical(genomes), axis=0)
            parts.append(new_rows(different[self.violation(different) == 0], seen))
        return np.unique(np.concatenate(parts), axis=0)

    def size(self) -> int | None:
        """Return how many architectures there are: here one for each combination of genes; ``None`` if unknown."""
        return prod(int(count) for count in self.upper - self.lower + 1)

    @property
    def smallest(self) -> Genomes:
        """The genome of the smallest architecture, shape (d,)."""
        genome: Genomes = self.canonical(self.lower[None])[0]
        return genome

    @property
    def largest(self) -> Genomes:
        """The genome of the largest architecture, shape (d,)."""
        genome: Genomes = self.canonical(self.upper[None])[0]
        return genome

    def validate(self, genomes: Genomes) -> None:
        """Raise UserError if a genome, shape (n, d), has another length or a gene outside its bounds."""
        if genomes.ndim != 2 or genomes.shape[1] != self.n_genes:
            raise UserError(f"genomes of this space have {self.n_genes} genes, got shape {genomes.shape}")
        wrong = np.argwhere((genomes < self.lower) | (genomes > self.upper))
        if len(wrong):
            row, gene = wrong[0]
            raise UserError(
                f"gene {gene} ({self.names[gene]}) is {genomes[row, gene]}, "
                f"allowed are {self.lower[gene]} to {self.upper[gene]}"
            )


def check_keys(config: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Raise UserError unless an architecture's description has these keys and no others."""
    for key in config:
        if key not in keys:
            raise unknown("key of an architecture", str(key), keys)
    for key in keys:
        if key not in config:
            raise UserError(f"the architecture has no '{key}' (keys: {', '.join(keys)})")


class SpaceSource(ABC):
    """A search space and what its architectures cost.

    Attributes:
        space: The architectures.
        fingerprint: Hexadecimal digits that change when results do: with the networks, or the tables.
        n_classes: Number of classes of the images that results are for, if they are not the run's data set; else
            ``None``.

    Example:
        >>> from nas.space.choices import ChoiceSpace
        >>> class Benchmark(SpaceSource):
        ...     space, fingerprint = ChoiceSpace({"cell": (0, 1, 2)}), "1"
        ...     def costs(self):
        ...         return {}
        >>> Benchmark().space.size()
        3
    """

    space: SearchSpace
    fingerprint: str
    n_classes: int | None = None

    @abstractmethod
    def costs(self) -> Mapping[str, CostTable]:
        """Return tables of exact costs.

        They are ``"macs"``, multiply-adds of one image, ``"params"``, weights and biases, and ``"latency"``,
        nanoseconds, where a benchmark has measured it.
        """
