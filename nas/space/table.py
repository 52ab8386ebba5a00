"""Costs that are sums over parts of a network, looked up for whole populations at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.types import Genomes


class AdditiveTable:
    """The sum of terms, each an array indexed by a few genes of the genome.

    One term per block of the network, indexed by the genes that its cost depends on (depth, kernel size,
    expansion, resolution, width), holds zero where the block is absent. All terms lie in one flat array, so
    that a population costs one gather.
    """

    def __init__(
        self,
        n_genes: int,
        terms: Sequence[tuple[Sequence[int], npt.NDArray[Any]]],
        names: Sequence[str] | None = None,
    ) -> None:
        """Build the table.

        Args:
            n_genes: the genome's length, d.
            terms: (genes, values) pairs: ``values`` has one axis a gene, in this order, and as long as the
                gene's alphabet (lower bounds are 0). Integer values are summed exactly.
            names: what each term is, for example ``"stage1.layer2"``; numbered if there are none.
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

    def __call__(self, genomes: Genomes) -> npt.NDArray[Any]:
        """Return the sum of the terms for genomes of shape (n, d), shape (n,)."""
        total: npt.NDArray[Any] = self._flat[genomes @ self._strides + self._offsets].sum(axis=1)
        return total

    def parts(self, genomes: Genomes) -> dict[str, npt.NDArray[Any]]:
        """Return each term's values, shape (n,), by its name; they add up to the whole."""
        values = self._flat[genomes @ self._strides + self._offsets]
        return {name: values[:, t] for t, name in enumerate(self._names)}
