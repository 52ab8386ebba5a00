"""Cascades and ensembles of a pool's networks as a search space."""

from collections.abc import Mapping, Sequence
from math import comb, perm
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt

from nas.errors import UserError, unknown
from nas.space.base import SearchSpace
from nas.types import Architecture, Floats, Genomes

N_THRESHOLDS = 51
"""From 0 to 1 in steps of 0.02 (ENCAS, Chebykin et al. 2022, section 5.2)."""

Goal = Literal["cascade", "ensemble"]


def compact(networks: Genomes, thresholds: npt.NDArray[Any]) -> tuple[Genomes, Genomes, npt.NDArray[Any]]:
    """Move "no network", 0, behind the networks, and each threshold with the network that follows it.

    Args:
        networks: per position 0 for no network or 1 + its index, shape (p, s).
        thresholds: before each position but the first, shape (p, s - 1); that of the first network is not used.

    Returns:
        The positions in their new order, (p, s), the networks, (p, s), and the thresholds, (p, s - 1).
    """
    order = np.argsort(networks == 0, axis=1, kind="stable")
    before = np.concatenate([np.zeros((len(thresholds), 1), dtype=thresholds.dtype), thresholds], axis=1)
    return order, np.take_along_axis(networks, order, axis=1), np.take_along_axis(before, order, axis=1)[:, 1:]


def _with_networks(names: Sequence[object], known: Sequence[str], n_genes: int) -> Genomes:
    """Return a genome, (n_genes,), that begins with the networks of these names; the rest is 0.

    Raises:
        UserError: if a name is not known.
    """
    genome = np.zeros(n_genes, dtype=np.int64)
    for position, name in enumerate(names):
        if name not in known:
            raise unknown("network", str(name), known)
        genome[position] = 1 + known.index(str(name))
    return genome


@final
class CascadeSpace(SearchSpace):
    """Up to ``size`` networks of k in an order, 0 for none, and a threshold before each position but the first.

    A genome has the networks first, then the thresholds as multiples of 0.02. In canonical form "no network" comes
    last, and thresholds before it are 0; so do networks that no image reaches, because a threshold before them is 0.
    Where there is no network at all, the cheapest one alone takes its place.
    An ensemble is its networks, ascending.
    """

    def __init__(self, *, names: Sequence[str], costs: Floats, size: int, goal: Goal) -> None:
        """Describe the space.

        Args:
            names: of the networks, length k, all different.
            costs: of each network, shape (k,); they decide which one stands for an empty cascade.
            size: most networks in a cascade.
            goal: cascades, or ensembles, which have no thresholds.
        """
        self._networks = tuple(names)
        self._size = size
        self._cascades = goal == "cascade"
        self._cheapest, self._dearest = 1 + int(np.argmin(costs)), 1 + int(np.argmax(costs))
        thresholds = size - 1 if self._cascades else 0
        self.lower = np.zeros(size + thresholds, dtype=np.int64)
        self.upper = np.array([len(self._networks)] * size + [N_THRESHOLDS - 1] * thresholds)
        self.names = (
            *(f"network{i}" for i in range(1, size + 1)),
            *(f"threshold{i}" for i in range(1, thresholds + 1)),
        )

    def parts(self, genomes: Genomes) -> tuple[Genomes, Floats]:
        """Return the networks, (n, d) -> (n, s), 0 for none, and the thresholds, (n, s - 1); infinite in ensembles."""
        networks = genomes[:, : self._size]
        if self._cascades:
            return networks, genomes[:, self._size :] / (N_THRESHOLDS - 1)
        return networks, np.full((len(genomes), self._size - 1), np.inf)

    def text(self, gene: int, value: int) -> str:
        """Return the network, or the threshold, that a value of a gene stands for."""
        if gene >= self._size:
            return f"{value / (N_THRESHOLDS - 1):g}"
        return self._networks[value - 1] if value else "none"

    def canonical(self, genomes: Genomes) -> Genomes:
        """Return the one genome of each cascade, shape (n, d)."""
        self.validate(genomes)
        networks, thresholds = genomes[:, : self._size], genomes[:, self._size :]
        if not self._cascades:
            networks = np.sort(np.where(networks == 0, self.upper[0] + 1, networks), axis=1)
            networks[networks > self.upper[0]] = 0
        else:
            _, networks, thresholds = compact(networks, thresholds)
            asked = np.logical_and.accumulate((networks[:, 1:] > 0) & (thresholds > 0), axis=1)
            networks = np.concatenate([networks[:, :1], np.where(asked, networks[:, 1:], 0)], axis=1)
            thresholds = np.where(asked, thresholds, 0)
        result = np.concatenate([networks, thresholds], axis=1)
        result[:, 0] = np.where(result[:, 0] == 0, self._cheapest, result[:, 0])
        return result

    @property
    def smallest(self) -> Genomes:
        """The genome of the cheapest network alone, shape (d,)."""
        genome: Genomes = self.alone(np.array([self._cheapest]))[0]
        return genome

    @property
    def largest(self) -> Genomes:
        """The genome of the costliest network at every position, which all images reach, shape (d,)."""
        genome = self.upper.copy()
        genome[: self._size] = self._dearest
        return genome

    def alone(self, networks: Genomes) -> Genomes:
        """Return the genomes of single networks, 1 + their indices, (n,) -> (n, d)."""
        genomes = np.zeros((len(networks), self.n_genes), dtype=np.int64)
        genomes[:, 0] = networks
        return genomes

    def size(self) -> int:
        """Return how many cascades, or ensembles, there are."""
        k, lengths = len(self._networks), range(1, self._size + 1)
        if not self._cascades:
            return sum(comb(k + n - 1, n) for n in lengths)
        return sum(k**n * (N_THRESHOLDS - 1) ** (n - 1) for n in lengths)

    def decode(self, genome: Genomes) -> Architecture:
        """Return the cascade: ``networks``, names in order, and ``thresholds`` between them, unless an ensemble."""
        canonical = self.canonical(genome[None])[0]
        used = int((canonical[: self._size] > 0).sum())
        config: dict[str, Any] = {"networks": [self._networks[i - 1] for i in canonical[:used]]}
        if self._cascades:
            steps = canonical[self._size : self._size + used - 1]
            config["thresholds"] = [round(float(step) / (N_THRESHOLDS - 1), 2) for step in steps]
        return Architecture(tuple(canonical.tolist()), config)

    def encode(self, config: Mapping[str, Any]) -> Genomes:
        """Return the canonical genome, shape (d,), of what :meth:`decode` describes.

        Raises:
            UserError: if a network is not in the pool, there are too many, or a threshold is not in the space.
        """
        expected = {"networks", "thresholds"} if self._cascades else {"networks"}
        if not isinstance(config, Mapping) or set(config) != expected:
            raise UserError(f"a cascade of this space has the keys {', '.join(sorted(expected))}")
        networks, thresholds = config["networks"], config.get("thresholds", [])
        if not isinstance(networks, list) or not 1 <= len(networks) <= self._size:
            raise UserError(f"networks is {networks!r}; wanted is a list of 1 to {self._size} names")
        if self._cascades and (not isinstance(thresholds, list) or len(thresholds) != len(networks) - 1):
            raise UserError(f"thresholds is {thresholds!r}; wanted is a list of {len(networks) - 1} numbers")
        genome = _with_networks(networks, self._networks, self.n_genes)
        for position, threshold in enumerate(thresholds):
            genome[self._size + position] = _step(threshold)
        canonical: Genomes = self.canonical(genome[None])[0]
        return canonical


def _step(threshold: object) -> int:
    if isinstance(threshold, int | float) and not isinstance(threshold, bool):
        step = round(threshold * (N_THRESHOLDS - 1))
        if 0 <= step < N_THRESHOLDS and abs(step / (N_THRESHOLDS - 1) - threshold) < 1e-9:
            return step
    raise UserError(f"thresholds holds {threshold!r}; choices are 0 to 1 in steps of {1 / (N_THRESHOLDS - 1):g}")


_INFINITE = int(np.float32(np.inf).view(np.int32))


@final
class GapCascadeSpace(SearchSpace):
    """All networks of a pool in any order, each at most once, and a threshold of float32 behind each but the last.

    A network answers what it is confident of: where the largest minus the second largest logit exceeds its threshold.
    The last network answers the rest. A genome has the networks first, 1 + their indices and 0 for none, then the
    thresholds: 0 for one that everything exceeds, else 1 + the bits of a number that is not negative, which are in
    the order of the numbers. In canonical form "no network" comes last and the thresholds behind the last network
    are 0; where a network comes again, it is left out.
    """

    def __init__(self, *, names: Sequence[str], costs: Floats) -> None:
        """Describe the space of networks with these names, length k, and costs, shape (k,)."""
        self._networks = tuple(names)
        k = len(self._networks)
        self._costs = costs
        self.lower = np.zeros(2 * k - 1, dtype=np.int64)
        self.upper = np.array([k] * k + [_INFINITE + 1] * (k - 1), dtype=np.int64)
        self.names = (*(f"network{i}" for i in range(1, k + 1)), *(f"threshold{i}" for i in range(1, k)))

    def parts(self, genomes: Genomes) -> tuple[Genomes, npt.NDArray[np.float32]]:
        """Return networks, (n, d) -> (n, k), 0 for none, and the thresholds behind them, (n, k - 1)."""
        k = len(self._networks)
        steps = genomes[:, k:]
        values = np.maximum(steps - 1, 0).astype(np.int32).view(np.float32)
        return genomes[:, :k], np.where(steps == 0, np.float32(-1), values)

    def text(self, gene: int, value: int) -> str:
        """Return the network, or the threshold, that a value of a gene stands for."""
        if gene >= len(self._networks):
            return f"{np.array([max(value - 1, 0)], dtype=np.int32).view(np.float32)[0]:.3g}" if value else "all"
        return self._networks[value - 1] if value else "none"

    def canonical(self, genomes: Genomes) -> Genomes:
        """Return the one genome of each cascade, shape (n, d)."""
        self.validate(genomes)
        k = len(self._networks)
        networks = genomes[:, :k].copy()
        thresholds = np.concatenate([genomes[:, k:], np.zeros((len(genomes), 1), dtype=np.int64)], axis=1)
        for position in range(1, k):
            again = (networks[:, :position] == networks[:, position, None]).any(axis=1)
            networks[again, position] = 0
        order = np.argsort(networks == 0, axis=1, kind="stable")
        networks = np.take_along_axis(networks, order, axis=1)
        thresholds = np.take_along_axis(thresholds, order, axis=1)[:, :-1]
        result = np.concatenate([networks, np.where(networks[:, 1:] == 0, 0, thresholds)], axis=1)
        result[:, 0] = np.where(result[:, 0] == 0, 1 + int(np.argmin(self._costs)), result[:, 0])
        return result

    @property
    def largest(self) -> Genomes:
        """The genome of all networks from the cheapest on, none but the last of which answers, shape (d,)."""
        genome = self.upper.copy()
        genome[: len(self._networks)] = 1 + np.argsort(self._costs, kind="stable")
        return genome

    def size(self) -> int:
        """Return how many cascades there are."""
        k = len(self._networks)
        return sum(perm(k, n) * (_INFINITE + 2) ** (n - 1) for n in range(1, k + 1))

    def decode(self, genome: Genomes) -> Architecture:
        """Return the cascade: ``networks``, names in order, and ``gaps`` that all but the last one must exceed."""
        canonical = self.canonical(genome[None])
        networks, thresholds = self.parts(canonical)
        used = int((networks[0] > 0).sum())
        config = {
            "networks": [self._networks[i - 1] for i in networks[0, :used]],
            "gaps": [None if gap == np.inf else float(gap) for gap in thresholds[0, : used - 1]],
        }
        return Architecture(tuple(canonical[0].tolist()), config)

    def encode(self, config: Mapping[str, Any]) -> Genomes:
        """Return the canonical genome, shape (d,), of what :meth:`decode` describes.

        Raises:
            UserError: if a network is not in the pool, or the gaps do not fit.
        """
        if not isinstance(config, Mapping) or set(config) != {"networks", "gaps"}:
            raise UserError("a cascade of this space has the keys gaps, networks")
        networks, gaps, k = config["networks"], config["gaps"], len(self._networks)
        if not isinstance(networks, list) or not 1 <= len(networks) <= k or len(set(networks)) < len(networks):
            raise UserError(f"networks is {networks!r}; wanted is a list of 1 to {k} different names")
        if not isinstance(gaps, list) or len(gaps) != len(networks) - 1:
            raise UserError(f"gaps is {gaps!r}; wanted is a list of {len(networks) - 1} numbers")
        genome = _with_networks(networks, self._networks, self.n_genes)
        for position, gap in enumerate(gaps):
            value = np.float32(np.inf if gap is None else gap)
            genome[k + position] = 0 if value < 0 else 1 + int((value + np.float32(0)).view(np.int32))
        canonical: Genomes = self.canonical(genome[None])[0]
        return canonical
