"""Shares of gene values among candidates by iteration. They show whether and where a search converges."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.run.record import Integers, Record
from nas.space.base import SearchSpace
from nas.types import Floats

MOST_VALUES = 8
"""Largest number of rows of a gene. For genes with more values, neighboring values share a row."""


RowTexts = Sequence[Sequence[str]]
"""Texts for the rows of each gene, see :func:`row_texts`."""


@dataclass(frozen=True)
class GeneShares:
    """Shares of gene values among candidates.

    Attributes:
        genes: Names of the genes, length d.
        widths: Number of neighboring values per row of each gene, length d.
        steps: First step of each column except the last, which is the final fronts, shape (c - 1,).
        shares: Shares of the candidates in each column, 0 to 1: for each gene shape (rows, c).
    """

    genes: tuple[str, ...]
    widths: tuple[int, ...]
    steps: Integers
    shares: Sequence[Floats]


def row_texts(found: GeneShares, space: SearchSpace | None) -> list[list[str]]:
    """Return a text for each row of each gene, lowest value first: one value, or the first and last of several.

    Args:
        found: Shares of gene values.
        space: Search space of the runs, which gives names of values; ``None`` for numbers.

    Example:
        >>> shares = GeneShares(("depth",), (2,), np.array([0]), [np.ones((2, 2))])
        >>> row_texts(shares, None)
        [['0 to 1', '2 to 3']]
    """
    texts = []
    for gene, (width, shares) in enumerate(zip(found.widths, found.shares, strict=True)):
        last = width * len(shares) - 1 if space is None else int(space.upper[gene])
        ends = [(row * width, min(row * width + width - 1, last)) for row in range(len(shares))]
        said = [[str(value) if space is None else space.text(gene, value) for value in pair] for pair in ends]
        texts.append([low if low == high else f"{low} to {high}" for low, high in said])
    return texts


def gene_shares(records: Sequence[Record], fronts: Sequence[Integers], columns: int) -> GeneShares:
    """Return the shares of all gene values among new candidates, with iterations combined into columns.

    Args:
        records: Records of a group's runs, all of one search space.
        fronts: Indices of the final front in each record.
        columns: Largest number of columns in addition to that of the fronts.
    """
    last = max(int(record.step.max()) for record in records)
    edges = np.unique(np.concatenate([[0], np.linspace(1, last + 1, columns).round().astype(np.int64)]))[: columns + 1]
    edges = edges[edges <= max(last, 0)]
    genomes = np.concatenate([record.genomes[record.fresh] for record in records])
    column = np.concatenate([np.searchsorted(edges, r.step[r.fresh], side="right") - 1 for r in records])
    final = np.concatenate([record.genomes[front] for record, front in zip(records, fronts, strict=True)])
    genomes = np.concatenate([genomes, final])
    column = np.concatenate([column, np.full(len(final), len(edges))])
    columns = len(edges) + 1
    totals = np.maximum(np.bincount(column, minlength=columns), 1)
    widths, shares = [], []
    for values in np.ascontiguousarray(genomes.T):
        highest = int(values.max())
        width = -(-(highest + 1) // MOST_VALUES)
        rows = highest // width + 1
        counts = np.bincount(values // width * columns + column, minlength=rows * columns)
        widths.append(width)
        shares.append(counts.reshape(rows, columns) / totals)
    return GeneShares(records[0].genes, tuple(widths), edges, shares)
