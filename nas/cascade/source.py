"""Base class for search spaces over a pool of networks: outcomes on stored outputs, and the costs that follow."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import final

import numba
import numpy as np
import numpy.typing as npt

from nas.cascade.outputs import StoredOutputs, TorchOutputs, outputs_on
from nas.cascade.space import CascadeSpace, GapCascadeSpace, Goal
from nas.errors import UserError
from nas.pool.base import Pool, Split
from nas.space.base import SpaceSource
from nas.space.table import CostTable
from nas.types import MILLION, Floats, Genomes, PositiveInt


@dataclass(frozen=True)
class Outcome:
    """Results of p cascades of up to s networks on the images of a split.

    Attributes:
        errors: Top-1 errors, percent, shape (p,).
        networks: Networks as 1 + index, or 0 for none, shape (p, s); no 0 comes before a network.
        reached: Number of images that reach each position, shape (p, s).
        n_images: Number of images in the split.
    """

    errors: Floats
    networks: Genomes
    reached: npt.NDArray[np.int64]
    n_images: int


class CascadeSource(SpaceSource):
    """Base class for search spaces of cascades, with their outcomes on stored outputs and their average costs.

    Attributes:
        longest: Number of networks that bounds the costs of cascades.

    Example:
        >>> from nas.cascade.source import CascadeSource, GapCascades
        >>> from nas.pool.none import Specimen
        >>> source = GapCascades(pool=Specimen())
        >>> isinstance(source, CascadeSource), sorted(source.costs())
        (True, ['latency', 'macs', 'params'])
    """

    longest: int

    def __init__(self, pool: Pool) -> None:
        """Set the pool.

        Args:
            pool: Pool with stored outputs.

        Raises:
            UserError: If the pool is empty or does not know ``flops``.
        """
        if not pool.names:
            raise UserError("cascades need a pool of networks: choose pool=runs, pool=timm or pool=files")
        if "flops" not in pool.costs:
            raise UserError("the pool does not say what each network costs: flops are missing")
        self.fingerprint, self.n_classes = pool.fingerprint, len(pool.class_names)
        self._pool = pool
        self._last: tuple[Split, Genomes, Outcome] | None = None

    @abstractmethod
    def _evaluate(self, genomes: Genomes, split: Split) -> Outcome:
        """Return the outcome of canonical genomes, shape (p, d)."""

    def outcome(self, genomes: Genomes, split: Split) -> Outcome:
        """Return the outcome of canonical genomes, shape (p, d); the last outcome is cached."""
        if self._last is None or self._last[0] != split or not np.array_equal(self._last[1], genomes):
            self._last = split, genomes.copy(), self._evaluate(genomes, split)
        return self._last[2]

    def costs(self) -> Mapping[str, CostTable]:
        """Return cost tables of genomes, (p, d) -> (p,), on the validation images.

        ``"macs"`` is the average number of multiply-adds per image. ``"params"`` counts each distinct network once, and
        ``"latency"`` is the average per image in nanoseconds; both need a pool that knows them.
        """
        known: dict[str, CostTable] = {"macs": _AverageCost(self, "flops"), "params": _AverageCost(self, "params")}
        if "latency" in self._pool.costs:
            known["latency"] = _AverageCost(self, "latency")
        return known

    def extremes(self, name: str) -> tuple[float, float]:
        """Return bounds of a cost of cascades in the pool's unit.

        The lower bound is one cheapest network, the upper bound ``longest`` costliest networks. Both are NaN if the
        pool's limits lack this cost.

        Args:
            name: Name of a cost in the pool.

        Raises:
            UserError: If the pool does not know this cost.
        """
        if name not in self._pool.costs:
            raise self.unknown(name)
        least, most = self._pool.limits.get(name, (nan, nan))
        return least, self.longest * most

    def unknown(self, name: str) -> UserError:
        """Return the error for a cost that the pool does not know."""
        known = ", ".join(self._pool.costs)
        return UserError(f"the pool does not know {name} of all its networks; it knows {known}")

    def average_costs(self, outcome: Outcome) -> dict[str, Floats]:
        """Return the costs of cascades by the pool's names, each of shape (p,), in the pool's units.

        Parameters count once per distinct network. All other costs are averages per image.

        Args:
            outcome: Outcome of the cascades.
        """
        result = {}
        for name, each in self._pool.costs.items():
            known = np.concatenate([[0.0], each])
            if name == "params":
                ordered = np.sort(outcome.networks, axis=1)
                again = np.pad(ordered[:, 1:] == ordered[:, :-1], ((0, 0), (1, 0)))
                result[name] = np.where(again, 0.0, known[ordered]).sum(axis=1)
                continue
            total = np.zeros(len(outcome.networks))
            for position in range(outcome.networks.shape[1]):  # the order of summation is that of the published code
                total += known[outcome.networks[:, position]] * (outcome.reached[:, position] / outcome.n_images)
            result[name] = total
        return result


@final
class _AverageCost(CostTable):
    """Cost table whose values depend on the outputs of the cascades' networks."""

    def __init__(self, source: CascadeSource, name: str) -> None:
        self._source = source
        self._name = name

    def __call__(self, genomes: Genomes) -> Floats:
        """Return the cost of each genome, (p, d) -> (p,), in millionths of the pool's unit, as in all tables."""
        costs = self._source.average_costs(self._source.outcome(genomes, "validation"))
        if self._name not in costs:
            raise self._source.unknown(self._name)
        return MILLION * costs[self._name]

    def extremes(self) -> tuple[float, float]:
        """Return bounds of the cost, in millionths of the pool's unit."""
        least, most = self._source.extremes(self._name)
        return MILLION * least, MILLION * most


@final
class PooledCascades(CascadeSource):
    """Search space of cascades that average probabilities, or of ensembles that run all of their networks.

    Example:
        >>> from nas.cascade.source import PooledCascades
        >>> from nas.pool.none import Specimen
        >>> source = PooledCascades(pool=Specimen(), device="cpu", size=2)
        >>> source.space.names
        ('network1', 'network2', 'threshold1')
        >>> source.extremes("flops")
        (1.0, 4.0)
    """

    def __init__(
        self,
        *,
        pool: Pool,
        device: str,
        search_goal: Goal = "cascade",
        size: PositiveInt = 5,
        threads: PositiveInt = 2,
        memory_mib: PositiveInt = 8192,
    ) -> None:
        """Describe the search space.

        Args:
            pool: Pool with stored outputs.
            device: Torch device of evaluations, ``"cpu"`` or for example ``"cuda:0"``.
            search_goal: Search for ``"cascade"``, or for ``"ensemble"``, which always runs all of its networks.
            size: Maximum number of networks in a cascade or ensemble.
            threads: Number of CPU threads for evaluations; results do not depend on it.
            memory_mib: Maximum memory on the CPU for outputs in single precision, in MiB. Larger outputs stay in half
                precision, which is slower.
        """
        super().__init__(pool)
        self.space: CascadeSpace = CascadeSpace(
            names=pool.names, costs=pool.costs["flops"], size=size, goal=search_goal
        )
        self.longest = size
        self._device, self._threads, self._memory = device, threads, memory_mib
        self._stored: dict[Split, StoredOutputs | TorchOutputs] = {}

    def _evaluate(self, genomes: Genomes, split: Split) -> Outcome:
        if split not in self._stored:
            found = self._pool.outputs(split)
            self._stored[split] = outputs_on(
                self._device, found.probabilities, found.labels, threads=self._threads, memory_mib=self._memory
            )
        stored = self._stored[split]
        networks, thresholds = self.space.parts(genomes)
        errors, reached = stored.cascades(networks, thresholds)
        return Outcome(errors, networks, reached, stored.n_images)


LONGEST = 5
"""Number of networks that bounds the cost of gap cascades in the reference box of hypervolumes.

It is the default maximum of ENCAS's cascades, so that both have the same box. The length of a gap cascade itself is
bounded by the number of networks in the pool, which depends on the seed."""


@final
class GapCascades(CascadeSource):
    """Search space of cascades that exit on confidence gaps.

    The cascades are those of Streeter (2018, *Approximation Algorithms for Cascading Prediction Models*).

    Example:
        >>> from nas.cascade.source import GapCascades
        >>> from nas.pool.none import Specimen
        >>> GapCascades(pool=Specimen()).space.names
        ('network1', 'network2', 'threshold1')
    """

    def __init__(self, *, pool: Pool) -> None:
        """Describe the search space.

        Args:
            pool: Pool with stored outputs.
        """
        super().__init__(pool)
        self.longest = LONGEST
        self.space: GapCascadeSpace = GapCascadeSpace(names=pool.names, costs=pool.costs["flops"])
        self._stored: dict[Split, tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]] = {}

    def _evaluate(self, genomes: Genomes, split: Split) -> Outcome:
        if split not in self._stored:
            found = self._pool.outputs(split)
            self._stored[split] = found.right(), np.ascontiguousarray(found.gaps, dtype=np.float32)
        right, gaps = self._stored[split]
        networks, thresholds = self.space.parts(genomes)
        reached = np.zeros(networks.shape, dtype=np.int64)
        wrong = np.zeros(len(networks), dtype=np.int64)
        _count(right, gaps, np.ascontiguousarray(networks), np.ascontiguousarray(thresholds), reached, wrong)
        return Outcome(100 * (wrong / right.shape[1]), networks, reached, right.shape[1])


@numba.njit(nogil=True, cache=True)
def _count(  # noqa: PLR0917 -- compiled: plain arguments
    right: npt.NDArray[np.bool_],
    gaps: npt.NDArray[np.float32],
    networks: Genomes,
    thresholds: npt.NDArray[np.float32],
    reached: npt.NDArray[np.int64],
    wrong: npt.NDArray[np.int64],
) -> None:
    """Add to ``reached``, (p, s), and ``wrong``, (p,); correct predictions and gaps have shape (k, n)."""
    size = networks.shape[1]
    for genome in range(len(networks)):
        for image in range(right.shape[1]):
            for position in range(size):
                network = networks[genome, position] - 1
                reached[genome, position] += 1
                is_last = position == size - 1 or networks[genome, position + 1] == 0
                if is_last or gaps[network, image] > thresholds[genome, position]:
                    wrong[genome] += not right[network, image]
                    break
