"""Search spaces of cascades and ensembles of a pool's networks."""

from collections.abc import Mapping, Sequence
from math import comb, perm
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt

from nas.errors import UserError, unknown
from nas.space.base import SearchSpace
from nas.types import Architecture, Floats, Genomes

N_THRESHOLDS = 51
"""Number of thresholds, from 0 to 1 in steps of 0.02 (ENCAS, Chebykin et al. 2022, section 5.2)."""

Goal = Literal["cascade", "ensemble"]


def compact(networks: Genomes, thresholds: npt.NDArray[Any]) -> tuple[Genomes, Genomes, npt.NDArray[Any]]:
    """Move empty positions, 0, behind the networks, and each threshold with the network that follows it.

    Args:
        networks: Network of each position, 1 + its index, or 0 for no network, shape (p, s).
        thresholds: Thresholds before each position but the first, shape (p, s - 1). The one before the first network is
            not used.

    Returns:
        The positions in their new order, (p, s), the networks, (p, s), and the thresholds, (p, s - 1).

    Example:
        >>> import numpy as np
        >>> from nas.cascade.space import compact
        >>> order, networks, thresholds = compact(np.array([[3, 0, 7]]), np.array([[0.1, 0.2]]))
        >>> order.tolist(), networks.tolist(), thresholds.tolist()
        ([[0, 2, 1]], [[3, 7, 0]], [[0.2, 0.1]])
    """
    order = np.argsort(networks == 0, axis=1, kind="stable")
    before = np.concatenate([np.zeros((len(thresholds), 1), dtype=thresholds.dtype), thresholds], axis=1)
    return order, np.take_along_axis(networks, order, axis=1), np.take_along_axis(before, order, axis=1)[:, 1:]


def _with_networks(names: Sequence[object], known: Sequence[str], n_genes: int) -> Genomes:
    """Return a genome, (n_genes,), that starts with the named networks and is 0 elsewhere.

    Raises:
        UserError: If a name is not known.
    """
    genome = np.zeros(n_genes, dtype=np.int64)
    for position, name in enumerate(names):
        if name not in known:
            raise unknown("network", str(name), known)
        genome[position] = 1 + known.index(str(name))
    return genome


@final
class CascadeSpace(SearchSpace):
    """Search space of ordered lists of up to ``size`` networks, with a threshold before each position but the first.

    A genome holds the networks first, as 1 + index or 0 for none, and then the thresholds as multiples of 0.02. In
    canonical form, empty positions come last and their thresholds are 0. A threshold of 0 means that no image reaches
    the next network; this network and all later ones are then removed. A genome without networks becomes the cheapest
    network alone. The networks of an ensemble are sorted in ascending order.

    Example:
        >>> import numpy as np
        >>> from nas.cascade.space import CascadeSpace
        >>> space = CascadeSpace(names=["small", "large"], costs=np.array([1.0, 2.0]), size=2, goal="cascade")
        >>> space.decode(np.array([1, 2, 35])).config
        {'networks': ['small', 'large'], 'thresholds': [0.7]}
        >>> space.encode({"networks": ["small", "large"], "thresholds": [0.7]}).tolist()
        [1, 2, 35]
    """

    def __init__(self, *, names: Sequence[str], costs: Floats, size: int, goal: Goal) -> None:
        """Describe the search space.

        Args:
            names: Names of the networks, length k, all different.
            costs: Cost of each network, shape (k,). The cheapest network stands for an empty cascade.
            size: Maximum number of networks in a cascade or ensemble.
            goal: Search goal: ``"cascade"``, or ``"ensemble"``, which has no thresholds.
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
        """Return networks and thresholds of genomes.

        Args:
            genomes: Genomes, shape (n, d).

        Returns:
            The networks, (n, s), 0 for none, and the thresholds, (n, s - 1), which are infinite for ensembles.
        """
        networks = genomes[:, : self._size]
        if self._cascades:
            return networks, genomes[:, self._size :] / (N_THRESHOLDS - 1)
        return networks, np.full((len(genomes), self._size - 1), np.inf)

    def text(self, gene: int, value: int) -> str:
        """Return the name of the network, or the threshold, for a value of a gene."""
        if gene >= self._size:
            return f"{value / (N_THRESHOLDS - 1):g}"
        return self._networks[value - 1] if value else "none"

    def canonical(self, genomes: Genomes) -> Genomes:
        """Return the canonical genome of each cascade, shape (n, d)."""
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
        """Genome of the cheapest network alone, shape (d,)."""
        genome: Genomes = self.alone(np.array([self._cheapest]))[0]
        return genome

    @property
    def largest(self) -> Genomes:
        """Genome with the costliest network at every position, where all images reach all positions, shape (d,)."""
        genome = self.upper.copy()
        genome[: self._size] = self._dearest
        return genome

    def alone(self, networks: Genomes) -> Genomes:
        """Return the genomes of single networks, given as 1 + index, (n,) -> (n, d)."""
        genomes = np.zeros((len(networks), self.n_genes), dtype=np.int64)
        genomes[:, 0] = networks
        return genomes

    def size(self) -> int:
        """Return the number of cascades or ensembles."""
        k, lengths = len(self._networks), range(1, self._size + 1)
        if not self._cascades:
            return sum(comb(k + n - 1, n) for n in lengths)
        return sum(k**n * (N_THRESHOLDS - 1) ** (n - 1) for n in lengths)

    def decode(self, genome: Genomes) -> Architecture:
        """Return the cascade: ``networks``, names in order, and ``thresholds`` between them, except for ensembles."""
        canonical = self.canonical(genome[None])[0]
        used = int((canonical[: self._size] > 0).sum())
        config: dict[str, Any] = {"networks": [self._networks[i - 1] for i in canonical[:used]]}
        if self._cascades:
            steps = canonical[self._size : self._size + used - 1]
            config["thresholds"] = [round(float(step) / (N_THRESHOLDS - 1), 2) for step in steps]
        return Architecture(tuple(canonical.tolist()), config)

    def encode(self, config: Mapping[str, Any]) -> Genomes:
        """Return the canonical genome, shape (d,), of a description from :meth:`decode`.

        Args:
            config: Description with ``networks`` and, except for ensembles, ``thresholds``.

        Raises:
            UserError: If a network is not in the pool, there are too many, or a threshold is not in the space.
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
    """Search space of ordered lists of a pool's networks without repetition, with float32 thresholds between them.

    An image exits at a network if the largest minus the second largest logit exceeds the network's threshold. All
    remaining images exit at the last network.

    A genome holds the networks first, as 1 + index or 0 for none, and then the threshold behind each position but the
    last. A threshold is encoded as 0 if every gap exceeds it. Otherwise it is encoded as 1 + the bits of a non-negative
    float32 number; these bits have the same order as the numbers. In canonical form, empty positions come last,
    thresholds behind the last network are 0, and repeated networks are removed.

    Example:
        >>> import numpy as np
        >>> from nas.cascade.space import GapCascadeSpace
        >>> space = GapCascadeSpace(names=["small", "large"], costs=np.array([1.0, 2.0]))
        >>> genome = space.encode({"networks": ["small", "large"], "gaps": [1.5]})
        >>> space.decode(genome).config
        {'networks': ['small', 'large'], 'gaps': [1.5]}
    """

    def __init__(self, *, names: Sequence[str], costs: Floats) -> None:
        """Describe the search space.

        Args:
            names: Names of the networks, length k.
            costs: Cost of each network, shape (k,).
        """
        self._networks = tuple(names)
        k = len(self._networks)
        self._costs = costs
        self.lower = np.zeros(2 * k - 1, dtype=np.int64)
        self.upper = np.array([k] * k + [_INFINITE + 1] * (k - 1), dtype=np.int64)
        self.names = (*(f"network{i}" for i in range(1, k + 1)), *(f"threshold{i}" for i in range(1, k)))

    def parts(self, genomes: Genomes) -> tuple[Genomes, npt.NDArray[np.float32]]:
        """Return networks and thresholds of genomes.

        Args:
            genomes: Genomes, shape (n, d).

        Returns:
            The networks, (n, k), 0 for none, and the thresholds behind them, (n, k - 1), float32.
        """
        k = len(self._networks)
        steps = genomes[:, k:]
        values = np.maximum(steps - 1, 0).astype(np.int32).view(np.float32)
        return genomes[:, :k], np.where(steps == 0, np.float32(-1), values)

    def text(self, gene: int, value: int) -> str:
        """Return the name of the network, or the threshold, for a value of a gene."""
        if gene >= len(self._networks):
            return f"{np.array([max(value - 1, 0)], dtype=np.int32).view(np.float32)[0]:.3g}" if value else "all"
        return self._networks[value - 1] if value else "none"

    def canonical(self, genomes: Genomes) -> Genomes:
        """Return the canonical genome of each cascade, shape (n, d)."""
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
        """Genome of all networks, cheapest first, in which all images exit at the last one, shape (d,)."""
        genome = self.upper.copy()
        genome[: len(self._networks)] = 1 + np.argsort(self._costs, kind="stable")
        return genome

    def size(self) -> int:
        """Return the number of cascades."""
        k = len(self._networks)
        return sum(perm(k, n) * (_INFINITE + 2) ** (n - 1) for n in range(1, k + 1))

    def decode(self, genome: Genomes) -> Architecture:
        """Return the cascade: ``networks``, names in order, and ``gaps``, the thresholds of all but the last one."""
        canonical = self.canonical(genome[None])
        networks, thresholds = self.parts(canonical)
        used = int((networks[0] > 0).sum())
        config = {
            "networks": [self._networks[i - 1] for i in networks[0, :used]],
            "gaps": [None if gap == np.inf else float(gap) for gap in thresholds[0, : used - 1]],
        }
        return Architecture(tuple(canonical[0].tolist()), config)

    def encode(self, config: Mapping[str, Any]) -> Genomes:
        """Return the canonical genome, shape (d,), of a description from :meth:`decode`.

        Args:
            config: Description with ``networks`` and ``gaps``.

        Raises:
            UserError: If a network is not in the pool, or the gaps do not fit.
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
