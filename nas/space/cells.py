"""Search space of NAS-Bench-201: cells of four nodes, with one operation between each pair of nodes."""

import re
from collections.abc import Mapping
from typing import Any, final

import numpy as np

from nas.errors import UserError
from nas.space.base import SearchSpace
from nas.types import Architecture, Genomes

OPERATIONS = ("none", "skip_connect", "avg_pool_3x3", "nor_conv_1x1", "nor_conv_3x3")
"""Operations of an edge, in ascending order of cost; a gene is an index into them."""

EDGES = tuple((source, node) for node in (1, 2, 3) for source in range(node))
"""Source and target node of each edge, in the order of the benchmark's notation."""

KEY = "arch_str"
_WRITTEN = re.compile(r"\|(.+?)~0\|\+\|(.+?)~0\|(.+?)~1\|\+\|(.+?)~0\|(.+?)~1\|(.+?)~2\|")
_EXAMPLE = "|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|"


@final
class CellSpace(SearchSpace):
    """Search space of the 15,625 cells of NAS-Bench-201 (Dong and Yang 2020, arXiv 2001.00326).

    A cell has six edges with a choice of five operations each. Every genome is canonical. Different cells may compute
    the same function, for example if no path leads from an edge to the output. The benchmark trained each of them
    separately and counts the cost of unused operations. Such cells therefore have different results and are not merged.

    Example:
        >>> space = CellSpace()
        >>> space.size()
        15625
        >>> space.decode(np.array([4, 0, 0, 0, 0, 1])).config["arch_str"]
        '|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|'
    """

    def __init__(self) -> None:
        """Create the space; it has no settings."""
        self.lower = np.zeros(len(EDGES), dtype=np.int64)
        self.upper = np.full(len(EDGES), len(OPERATIONS) - 1, dtype=np.int64)
        self.names = tuple(f"node{node}.from{source}" for source, node in EDGES)

    def text(self, gene: int, value: int) -> str:
        """Return the operation that a gene's value encodes."""
        return OPERATIONS[value]

    def canonical(self, genomes: Genomes) -> Genomes:
        """Return the genomes, shape (n, 6), unchanged."""
        return genomes

    def decode(self, genome: Genomes) -> Architecture:
        """Return the architecture of one genome, shape (6,), in the notation of the benchmark."""
        edges = [f"{OPERATIONS[gene]}~{source}" for gene, (source, _) in zip(genome, EDGES, strict=True)]
        text = f"|{edges[0]}|+|{'|'.join(edges[1:3])}|+|{'|'.join(edges[3:])}|"
        return Architecture(tuple(int(gene) for gene in genome), {KEY: text})

    def encode(self, config: Mapping[str, Any]) -> Genomes:
        """Return the genome, shape (6,), of ``{"arch_str": "|nor_conv_3x3~0|+|..."}``."""
        if set(config) != {KEY}:
            raise UserError(f"a cell of NAS-Bench-201 is written as {{'{KEY}': '{_EXAMPLE}'}}, got {dict(config)}")
        written = _WRITTEN.fullmatch(str(config[KEY]))
        if written is None:
            raise UserError(f"{KEY} is {config[KEY]!r}; it must be of the form {_EXAMPLE}")
        return np.array([_index(operation) for operation in written.groups()], dtype=np.int64)


def _index(operation: str) -> int:
    if operation not in OPERATIONS:
        raise UserError(f"{KEY} has the operation {operation!r}; choices are {', '.join(OPERATIONS)}")
    return OPERATIONS.index(operation)
