"""Cost tables: costs of genomes, looked up for whole populations at once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nas.types import Genomes

Axis = tuple[int | None, Sequence[Any]]
"""A gene and its choices; the gene is ``None`` if there is only one choice."""

Choice = tuple[Any, ...]
"""One choice for each axis."""


class CostTable(ABC):
    """Base class for cost tables.

    Costs are multiply-adds, parameters or nanoseconds: millionths of the objectives' units.

    Example:
        >>> class Layers(CostTable):
        ...     def __call__(self, genomes):
        ...         return genomes.sum(axis=1)
        ...     def extremes(self):
        ...         return 2.0, 8.0
        >>> Layers().parts(np.array([[1, 2], [3, 4]]))
        {'whole': array([3, 7])}
    """

    @abstractmethod
    def __call__(self, genomes: Genomes) -> npt.NDArray[Any]:
        """Return the cost of canonical genomes, (n, d) -> (n,)."""

    @abstractmethod
    def extremes(self) -> tuple[float, float]:
        """Return the lower and upper bound of the cost; not-a-number for an unknown bound."""

    def parts(self, genomes: Genomes) -> dict[str, npt.NDArray[Any]]:
        """Return the summands of the cost by name, shape (n,) each; here only the whole cost."""
        return {"whole": self(genomes)}


@final
class AdditiveTable(CostTable):
    """Cost table that sums terms, each an array indexed by a few genes.

    Each block of the network has one term. It is indexed by the genes that the block's cost depends on (depth, kernel
    size, expansion, resolution, width), and is zero if the block is absent. All terms lie in one flat array, so that
    one gather looks up a whole population.

    Example:
        >>> table = AdditiveTable(2, [([0], np.array([10, 20])), ([0, 1], np.array([[1, 2], [3, 4]]))])
        >>> table(np.array([[0, 1], [1, 1]]))
        array([12, 24])
        >>> table.extremes()
        (11.0, 24.0)
    """

    def __init__(
        self,
        n_genes: int,
        terms: Sequence[tuple[Sequence[int], npt.NDArray[Any]]],
        names: Sequence[str] | None = None,
    ) -> None:
        """Build the table.

        Args:
            n_genes: Length of the genome, d.
            terms: Pairs (genes, values). ``values`` has one axis for each gene, in the order of ``genes``, with one
                entry for each of the gene's values (lower bounds are 0). Integers are summed exactly.
            names: Names of the terms, for example ``"stage1.layer2"``; ``None`` for ``"part0"``, ``"part1"``, ...

        Raises:
            ValueError: If a term has another number of axes than genes.
        """
        self._names = names or [f"part{t}" for t in range(len(terms))]
        self._strides = np.zeros((n_genes, len(terms)), dtype=np.int64)
        self._offsets = np.zeros(len(terms), dtype=np.int64)
        flat: list[npt.NDArray[Any]] = []
        start = 0
        for t, (genes, values) in enumerate(terms):
            if len(genes) != values.ndim:
                raise ValueError(f"term {t}: {len(genes)} genes index an array of {values.ndim} axes")
            contiguous = np.ascontiguousarray(values)
            self._strides[list(genes), t] = np.array(contiguous.strides) // contiguous.itemsize
            self._offsets[t] = start
            flat.append(contiguous.ravel())
            start += contiguous.size
        self._flat = np.concatenate(flat)
        self._terms = [(tuple(genes), values) for genes, values in terms]

    def __call__(self, genomes: Genomes) -> npt.NDArray[Any]:
        """Return the sum of the terms for genomes, (n, d) -> (n,)."""
        total: npt.NDArray[Any] = self._flat[genomes @ self._strides + self._offsets].sum(axis=1)
        return total

    def parts(self, genomes: Genomes) -> dict[str, npt.NDArray[Any]]:
        """Return the values of each term by name, shape (n,) each; their sum is the whole cost."""
        values = self._flat[genomes @ self._strides + self._offsets]
        return {name: values[:, t] for t, name in enumerate(self._names)}

    def extremes(self) -> tuple[float, float]:
        """Return the smallest and the largest possible sum, computed exactly without enumerating genomes."""
        return self._extreme(np.min), self._extreme(np.max)

    def _extreme(self, reduced: Callable[..., Any]) -> float:
        """Return the extreme sum by eliminating one gene after the other.

        All terms of a gene are summed into one array over this gene and the other genes of these terms. The extreme
        over the gene is a new term of the other genes. The gene with the smallest array is eliminated first.
        """
        terms = [*self._terms]
        while True:
            choices = {gene: size for genes, values in terms for gene, size in zip(genes, values.shape, strict=True)}
            if not choices:
                return float(sum(values.item() for _, values in terms))
            tied = {gene: _union(genes for genes, _ in terms if gene in genes) for gene in choices}
            gene = min(tied, key=lambda one: np.prod([float(choices[other]) for other in tied[one]]))
            others = [other for other in tied[gene] if other != gene]
            whole = sum(_spread(*term, [gene, *others]) for term in terms if gene in term[0])
            terms = [term for term in terms if gene not in term[0]]
            terms.append((tuple(others), np.asarray(reduced(whole, axis=0))))


def term(axes: Sequence[Axis], cost: Callable[[Choice], int]) -> tuple[list[int], npt.NDArray[np.int64]]:
    """Build a term of an additive table.

    Args:
        axes: Axes of the term, each a gene and its choices.
        cost: Function that maps one choice for each axis to a cost.

    Returns:
        Indices of the genes, and integer costs with one axis for each gene.

    Example:
        >>> term([(0, (1, 2)), (None, (10,))], lambda choice: choice[0] * choice[1])
        ([0], array([10, 20]))
    """
    values = [cost(choice) for choice in product(*(choices for _, choices in axes))]
    shape = [len(choices) for gene, choices in axes if gene is not None]
    return [gene for gene, _ in axes if gene is not None], np.array(values, dtype=np.int64).reshape(shape)


def _union(groups: Iterable[Sequence[int]]) -> list[int]:
    return list(dict.fromkeys(gene for genes in groups for gene in genes))


def _spread(genes: Sequence[int], values: npt.NDArray[Any], axes: Sequence[int]) -> npt.NDArray[Any]:
    """Return ``values`` over ``genes`` as an array over ``axes``, which include all genes; other axes have length 1."""
    places = [axes.index(gene) for gene in genes]
    ordered = np.transpose(values, np.argsort(places))
    return ordered.reshape([values.shape[genes.index(axis)] if axis in genes else 1 for axis in axes])
