"""What search spaces over a pool of networks have in common: outcomes on stored outputs, and costs that follow."""

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
    """What p cascades of up to s networks do with the images of a split.

    Attributes:
        errors: percent, shape (p,).
        networks: 0 for none or 1 + an index, shape (p, s), none of them behind the last network.
        reached: images that each position is asked about, shape (p, s).
        n_images: of the split.
    """

    errors: Floats
    networks: Genomes
    reached: npt.NDArray[np.int64]
    n_images: int


class CascadeSource(SpaceSource):
    """A space of cascades, what they do with stored outputs, and what they cost on average.

    Attributes:
        longest: networks of the longest cascade, which bound what cascades cost.
    """

    longest: int

    def __init__(self, pool: Pool) -> None:
        """Take a pool whose outputs are stored.

        Raises:
            UserError: if there is none.
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
        """Return the outcome of canonical genomes, shape (p, d); asked about the same again, it remembers."""
        if self._last is None or self._last[0] != split or not np.array_equal(self._last[1], genomes):
            self._last = split, genomes.copy(), self._evaluate(genomes, split)
        return self._last[2]

    def costs(self) -> Mapping[str, CostTable]:
        """Return what genomes, (p, d), cost on the validation images, (p,), as tables do.

        ``"macs"``, multiply-adds of an image on average; ``"params"`` of all different networks together and
        ``"latency"``, nanoseconds of an image on average, where the pool knows them.
        """
        known: dict[str, CostTable] = {"macs": _AverageCost(self, "flops"), "params": _AverageCost(self, "params")}
        if "latency" in self._pool.costs:
            known["latency"] = _AverageCost(self, "latency")
        return known

    def extremes(self, name: str) -> tuple[float, float]:
        """Return bounds of a cost of cascades in the pool's unit: one of the cheapest network, all of the dearest.

        They are not-a-number where the pool knows none.

        Raises:
            UserError: if the pool does not know this cost.
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
        """Return the costs of cascades by the pool's names, (p,) each, in the pool's units.

        Parameters count once for each network that occurs; all else is the average of an image.
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
            for position in range(outcome.networks.shape[1]):  # in this order, as the published code adds them up
                total += known[outcome.networks[:, position]] * (outcome.reached[:, position] / outcome.n_images)
            result[name] = total
        return result


@final
class _AverageCost(CostTable):
    """A cost that depends on what the cascades' networks answer."""

    def __init__(self, source: CascadeSource, name: str) -> None:
        self._source = source
        self._name = name

    def __call__(self, genomes: Genomes) -> Floats:
        """Return the cost of each genome, (p, d) -> (p,), in millionths of the pool's unit, as tables have it."""
        costs = self._source.average_costs(self._source.outcome(genomes, "validation"))
        if self._name not in costs:
            raise self._source.unknown(self._name)
        return MILLION * costs[self._name]

    def extremes(self) -> tuple[float, float]:
        """Return bounds of the cost, as tables have it."""
        least, most = self._source.extremes(self._name)
        return MILLION * least, MILLION * most


@final
class PooledCascades(CascadeSource):
    """Cascades that average the probabilities of the networks asked so far, or ensembles that ask all of them."""

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
        """Describe the space.

        Args:
            pool: whose outputs are stored.
            device: ``"cpu"``, or where torch evaluates.
            search_goal: cascades, or ensembles.
            size: most networks of one.
            threads: of evaluations on the CPU; results do not depend on them.
            memory_mib: for outputs in single precision on the CPU; beyond it they stay in half precision.
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
"""Networks that bound the costs of cascades in the box of hypervolumes: as many as ENCAS's cascades have by default, so
that both have the same box. The number of networks in the pool, which depends on the seed, bounds the length itself."""


@final
class GapCascades(CascadeSource):
    """Cascades of Streeter (2018, *Approximation Algorithms for Cascading Prediction Models*)."""

    def __init__(self, *, pool: Pool) -> None:
        """Describe the space of cascades from a pool whose outputs are stored."""
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
    """Add to ``reached``, (p, s), and ``wrong``, (p,); right answers and gaps have shape (k, n)."""
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
