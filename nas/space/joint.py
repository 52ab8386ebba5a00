"""Search space of ENCAS-joint: cascades of one network from each of several supernets."""

from collections.abc import Mapping, Sequence
from math import factorial, prod
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nas.errors import UserError
from nas.space.base import SearchSpace, choice_index
from nas.space.table import CostTable
from nas.types import Architecture, Floats, Genomes

N_THRESHOLDS = 10
"""Number of thresholds: 0.1 to 1.0 in steps of 0.1 (ENCAS's published code)."""

THRESHOLDS = tuple((step + 1) / N_THRESHOLDS for step in range(N_THRESHOLDS))

OWN = ("position", "threshold")
"""Genes of each network in addition to those of its architecture."""


EACH_MACS = "each_macs"
"""Name of the table of each network's multiply-adds.

The multiply-adds of a cascade depend on how many images run each network.
"""


@final
class JointSpace(SearchSpace):
    """Search space of cascades with one network from each of k spaces.

    A genome has, for each space, the genes of the architecture, a position and a threshold. The network with the
    highest position runs first; of equal positions, the one named last runs first. An image leaves the cascade when its
    averaged probabilities exceed the threshold of the network that ran last. In canonical form, positions are
    k - 1, ..., 0 in the order of execution. The threshold of the last network has no effect and is set to the lowest
    one.

    Attributes:
        members: Search spaces by the names of their supernets.

    Example:
        >>> from nas.space.choices import ChoiceSpace
        >>> space = JointSpace({"a": ChoiceSpace({"r": (24, 32)}), "b": ChoiceSpace({"r": (24, 32)})})
        >>> space.size()  # 2 * 2 architectures, 2 orders, 10 thresholds
        80
        >>> space.decode(space.smallest).config["b"]
        {'r': 24, 'position': 1, 'threshold': 0.1}
    """

    def __init__(self, members: Mapping[str, SearchSpace]) -> None:
        """Join two or more search spaces, given by the names of their supernets."""
        self.members = dict(members)
        n = len(self.members)
        spaces = self.members.values()
        self.lower = np.concatenate([[*space.lower, 0, 0] for space in spaces])
        self.upper = np.concatenate([[*space.upper, n - 1, N_THRESHOLDS - 1] for space in spaces])
        self.names = tuple(f"{name}.{gene}" for name, space in self.members.items() for gene in (*space.names, *OWN))
        ends = np.cumsum([space.n_genes + len(OWN) for space in spaces])
        self._parts = [slice(end - space.n_genes - 2, end - 2) for end, space in zip(ends, spaces, strict=True)]
        self._positions, self._thresholds = ends - 2, ends - 1

    def text(self, gene: int, value: int) -> str:
        """Return the choice that a gene's value encodes: that of a member's space, or a position or threshold."""
        for part, space in zip(self._parts, self.members.values(), strict=True):
            if part.start <= gene < part.stop:
                return space.text(gene - part.start, value)
        return f"{THRESHOLDS[value]:g}" if gene in self._thresholds else str(value)

    def split(self, genomes: Genomes) -> list[Genomes]:
        """Return the genes of the architectures in each space, (n, d) -> k arrays (n, d_i)."""
        return [genomes[:, part] for part in self._parts]

    def decisions(self, genomes: Genomes) -> tuple[Genomes, Genomes]:
        """Return the genes of positions and thresholds, (n, d) -> (n, k) each; gene t is the threshold 0.1 (t + 1)."""
        return genomes[:, self._positions], genomes[:, self._thresholds]

    def order(self, genomes: Genomes) -> Genomes:
        """Return the indices of the spaces in the order in which their networks run, (n, d) -> (n, k)."""
        n = len(self.members)
        order: Genomes = np.argsort(-(self.decisions(genomes)[0] * n + np.arange(n)), axis=1)
        return order

    def limits(self, genomes: Genomes) -> Floats:
        """Return the threshold of each network but the last, in the order of execution, (n, d) -> (n, k - 1)."""
        steps = np.take_along_axis(self.decisions(genomes)[1], self.order(genomes), axis=1)
        limits: Floats = (steps[:, :-1] + 1) / N_THRESHOLDS
        return limits

    def canonical(self, genomes: Genomes) -> Genomes:
        """Return the canonical genome of each cascade, shape (n, d)."""
        self.validate(genomes)
        result = genomes.copy()
        for part, space in zip(self._parts, self.members.values(), strict=True):
            result[:, part] = space.canonical(genomes[:, part])
        order = self.order(genomes)
        ranks = np.argsort(order, axis=1)
        result[:, self._positions] = len(self.members) - 1 - ranks
        result[np.arange(len(result)), self._thresholds[order[:, -1]]] = 0
        return result

    def size(self) -> int | None:
        """Return the number of cascades; ``None`` if the size of a space is unknown."""
        sizes = [space.size() for space in self.members.values()]
        known = [size for size in sizes if size is not None]
        k = len(sizes)
        return prod(known) * factorial(k) * N_THRESHOLDS ** (k - 1) if len(known) == k else None

    def decode(self, genome: Genomes) -> Architecture:
        """Return the cascade: the architecture, ``position`` and ``threshold`` for each supernet, by its name."""
        canonical = self.canonical(genome[None])
        positions, thresholds = self.decisions(canonical)
        config = {
            name: {
                **space.decode(part[0]).config,
                "position": int(positions[0, i]),
                "threshold": (int(thresholds[0, i]) + 1) / N_THRESHOLDS,
            }
            for i, (part, (name, space)) in enumerate(zip(self.split(canonical), self.members.items(), strict=True))
        }
        return Architecture(tuple(canonical[0].tolist()), config)

    def encode(self, config: Mapping[str, Any]) -> Genomes:
        """Return the canonical genome, shape (d,), of a configuration as :meth:`decode` returns it.

        Raises:
            UserError: If the cascade is not in this space.
        """
        if not isinstance(config, Mapping) or set(config) != set(self.members):
            raise UserError(f"a cascade of this space has one network of each of {', '.join(self.members)}")
        genome: list[int] = []
        for name, space in self.members.items():
            own = dict(config[name])
            position, threshold = (own.pop(key, None) for key in OWN)
            genome += space.encode(own).tolist()
            genome.append(choice_index(f"{name}.position", position, range(len(self.members))))
            genome.append(choice_index(f"{name}.threshold", threshold, THRESHOLDS))
        canonical: Genomes = self.canonical(np.array([genome], dtype=np.int64))[0]
        return canonical


def is_cascade(config: Mapping[str, Any]) -> bool:
    """Return whether a configuration describes a cascade, from a pool or from several supernets, not a single network.

    Example:
        >>> is_cascade({"r": 224}), is_cascade({"a": {"r": 24}, "b": {"r": 32}})
        (False, True)
    """
    return "networks" in config or (bool(config) and all(isinstance(part, Mapping) for part in config.values()))


class MemberTables(CostTable):
    """Cost table of the networks in a cascade, one table for each member of a joint space."""

    def __init__(self, space: JointSpace, tables: Sequence[CostTable]) -> None:
        """Take one table for each member of the joint space, in the members' order."""
        self._space = space
        self._tables = tables

    def __call__(self, genomes: Genomes) -> npt.NDArray[Any]:
        """Return the sum over the networks of each cascade, (n, d) -> (n,)."""
        total: npt.NDArray[Any] = np.sum(list(self.parts(genomes).values()), axis=0)
        return total

    def parts(self, genomes: Genomes) -> dict[str, npt.NDArray[Any]]:
        """Return the cost of each network, shape (n,), by the name of its supernet; their sum is the whole cost."""
        each = zip(self._space.members, self._tables, self._space.split(genomes), strict=True)
        return {name: table(part) for name, table, part in each}

    def extremes(self) -> tuple[float, float]:
        """Return the smallest and the largest sum over the networks of a cascade."""
        least, largest = zip(*self.each_extremes(), strict=True)
        return sum(least), sum(largest)

    def each_extremes(self) -> list[tuple[float, float]]:
        """Return the smallest and the largest cost of a network in each space."""
        return [table.extremes() for table in self._tables]
