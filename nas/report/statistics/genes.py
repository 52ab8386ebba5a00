"""Gene values of candidates by iteration, which show where a search converges."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.run.record import Integers, Record
from nas.space.base import SearchSpace
from nas.types import Floats

MOST_VALUES = 8
"""Rows of a gene; genes with more values have neighbours counted together."""


RowTexts = Sequence[Sequence[str]]
"""What the rows of each gene stand for, see :func:`row_texts`."""


@dataclass(frozen=True)
class GeneShares:
    """Shares of gene values among candidates.

    Attributes:
        genes: Names, length d.
        widths: Number of neighboring values that each row of a gene counts together, length d.
        steps: First step of each of the c columns; the last column is the final fronts.
        shares: Shares of the candidates in each column for the rows of each gene, shape (rows, c), 0 to 1.
    """

    genes: tuple[str, ...]
    widths: tuple[int, ...]
    steps: Integers
    shares: Sequence[Floats]


def row_texts(found: GeneShares, space: SearchSpace | None) -> list[list[str]]:
    """Return what the rows of each gene stand for, the lowest first: a value, or the first and the last of several.

    Args:
        found: The shares, which say how many rows there are.
        space: Search space of the runs; ``None`` for the numbers of the values.
    """
    texts = []
    for gene, (width, shares) in enumerate(zip(found.widths, found.shares, strict=True)):
        last = width * len(shares) - 1 if space is None else int(space.upper[gene])
        ends = [(row * width, min(row * width + width - 1, last)) for row in range(len(shares))]
        said = [[str(value) if space is None else space.text(gene, value) for value in pair] for pair in ends]
        texts.append([low if low == high else f"{low} to {high}" for low, high in said])
    return texts


def gene_shares(records: Sequence[Record], fronts: Sequence[Integers], columns: int) -> GeneShares:
    """Return the shares of all gene values among new candidates, iterations put together to so many columns.

    Args:
        records: Records of the runs of a group, all of one space.
        fronts: Places of their final fronts.
        columns: Most columns beside that of the fronts.
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
