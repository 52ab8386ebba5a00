"""Base classes for search spaces: integer genomes and the architectures that they encode."""

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
"""Number of genomes that are processed together."""

_LISTED = 1_000_000
"""Maximum number of gene combinations for listing a whole space."""


def new_rows(genomes: Genomes, seen: Genomes) -> Genomes:
    """Return the rows of ``genomes``, (n, d), that are not among ``seen``, (k, d), each once, in their order.

    Example:
        >>> new_rows(np.array([[0, 1], [2, 3], [2, 3]]), seen=np.array([[0, 1]])).tolist()
        [[2, 3]]
    """
    known = {row.tobytes() for row in np.ascontiguousarray(seen, dtype=np.int64)}
    keep = []
    for i, row in enumerate(np.ascontiguousarray(genomes, dtype=np.int64)):
        if row.tobytes() not in known:
            known.add(row.tobytes())
            keep.append(i)
    return genomes[keep]


def choice_index(key: str, value: object, choices: Sequence[float]) -> int:
    """Return the gene of a value: its index among the choices.

    Args:
        key: Name of the value in messages.
        value: Chosen value.
        choices: Allowed values.

    Raises:
        UserError: If the value is no choice; the message names ``key`` and the choices.

    Example:
        >>> choice_index("ks[0]", 5, (3, 5, 7))
        1
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or value not in choices:
        raise UserError(f"{key} is {value!r}; choices are {', '.join(map(str, choices))}")
    return choices.index(value)


class SearchSpace(ABC):
    """Base class for search spaces: sets of architectures, each with one canonical integer genome.

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
        """Return the canonical genomes, shape (n, d): genes that are not expressed are set to their lower bounds."""

    @abstractmethod
    def decode(self, genome: Genomes) -> Architecture:
        """Return the architecture of one genome, shape (d,), canonical or not."""

    @abstractmethod
    def encode(self, config: Mapping[str, Any]) -> Genomes:
        """Return the canonical genome, shape (d,), of an architecture's configuration.

        Args:
            config: Configuration in the notation of the published code, as in ``Architecture.config``.

        Raises:
            UserError: If the architecture is not in this space; the message names the key and the choices.
        """

    def text(self, gene: int, value: int) -> str:
        """Return the choice that a gene's value encodes, as figures show it, for example ``"5"`` for a kernel size."""
        return str(value)

    def expressed(self, genomes: Genomes) -> npt.NDArray[np.bool_]:
        """Return whether each gene of canonical genomes is expressed, (n, d) -> (n, d).

        A gene is expressed if another value of it encodes another architecture. This holds if the gene is above its
        lower bound, or if the canonical form keeps it when it is set to its upper bound.
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
        """Return by how much canonical genomes, (n, d), violate hard constraints, (n,); 0 for allowed genomes."""
        return np.zeros(len(genomes))

    def sample(self, n: int, rng: np.random.Generator) -> Genomes:
        """Draw ``n`` canonical genomes, shape (n, d), each gene uniformly and independently."""
        return self.canonical(rng.integers(self.lower, self.upper, size=(n, self.n_genes), endpoint=True))

    def sample_unseen(self, n: int, seen: Genomes, rng: np.random.Generator) -> Genomes:
        """Draw up to ``n`` different genomes that are not among ``seen``, shape (k, d).

        If ``100 n`` draws do not find enough genomes, the rest comes from a list of all unseen genomes. Fewer than
        ``n`` are returned if no unseen genome is left, or if the space is too large to list.
        """
        found = np.zeros((0, self.n_genes), dtype=np.int64)
        for _ in range(100):
            if len(found) == n:
                return found
            found = np.concatenate([found, new_rows(self.sample(n, rng), np.concatenate([seen, found]))])[:n]
        left = self.unseen(np.concatenate([seen, found])) if len(found) < n else None
        return found if left is None else np.concatenate([found, rng.permutation(left)[: n - len(found)]])

    def unseen(self, seen: Genomes) -> Genomes | None:
        """Return all genomes that satisfy the hard constraints and are not among ``seen``, shape (k, d), ascending.

        Returns ``None`` if the genes have more than a million combinations.
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
        """Return the number of architectures, here one for each combination of genes; ``None`` if unknown."""
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
    """Raise UserError unless an architecture's configuration has exactly these keys.

    Example:
        >>> check_keys({"d": [2], "r": 224}, ("d", "r"))
    """
    for key in config:
        if key not in keys:
            raise unknown("key of an architecture", str(key), keys)
    for key in keys:
        if key not in config:
            raise UserError(f"the architecture has no '{key}' (keys: {', '.join(keys)})")


class SpaceSource(ABC):
    """Base class for sources of a search space and of the exact costs of its architectures.

    Attributes:
        space: Search space of the architectures.
        fingerprint: Hexadecimal digits that change whenever the networks or tables, and so the results, change.
        n_classes: Number of classes of the images behind the results; ``None`` for those of the run's data set.

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
        """Return tables of exact costs by name.

        ``"macs"`` counts the multiply-adds for one image, ``"params"`` the weights and biases. ``"latency"``, in
        nanoseconds, exists only if a benchmark has measured it.
        """
