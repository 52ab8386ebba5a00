"""What search spaces over a pool of networks have in common: outcomes on stored outputs, and costs that follow."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Literal, Protocol, cast

import numpy as np
import numpy.typing as npt

from nas.errors import UserError
from nas.space.source import SpaceSource
from nas.space.table import AdditiveTable
from nas.types import Floats, Genomes

Split = Literal["validation", "test"]


class StoredArrays(Protocol):
    """Outputs of k networks on the n images of a split, see :class:`nas.pool.base.Outputs`."""

    @property
    def probabilities(self) -> npt.NDArray[np.float16]:
        """Shape (k, n, c)."""

    @property
    def gaps(self) -> npt.NDArray[np.float32]:
        """Shape (k, n)."""

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Shape (n,)."""


class PoolOfNetworks(Protocol):
    """What is asked of a pool, see :class:`nas.pool.base.Pool`."""

    names: tuple[str, ...]
    groups: tuple[str, ...]
    costs: Mapping[str, Floats]
    class_names: tuple[str, ...]
    fingerprint: str

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """Least and largest cost of a network by name."""

    def outputs(self, split: Split) -> StoredArrays:
        """Return the stored outputs."""


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

    def __init__(self, pool: PoolOfNetworks) -> None:
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

    def costs(self) -> Mapping[str, AdditiveTable]:
        """Return what genomes, (p, d), cost on the validation images, (p,), as tables do.

        ``"macs"``, multiply-adds of an image on average; ``"params"`` of all different networks together and
        ``"latency"``, nanoseconds of an image on average, where the pool knows them.
        """
        known = {"macs": _AverageCost(self, "flops"), "params": _AverageCost(self, "params")}
        if "latency" in self._pool.costs:
            known["latency"] = _AverageCost(self, "latency")
        return cast("Mapping[str, AdditiveTable]", known)  # a call is all that is asked of a table

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


class _AverageCost:
    """A cost that depends on what the cascades' networks answer."""

    def __init__(self, source: CascadeSource, name: str) -> None:
        self._source = source
        self._name = name

    def __call__(self, genomes: Genomes) -> Floats:
        """Return the cost of each genome, (p, d) -> (p,), in millionths of the pool's unit, as tables have it."""
        costs = self._source.average_costs(self._source.outcome(genomes, "validation"))
        if self._name not in costs:
            raise self._source.unknown(self._name)
        return 1e6 * costs[self._name]

    def extremes(self) -> tuple[float, float]:
        """Return bounds of the cost, as tables have it."""
        least, most = self._source.extremes(self._name)
        return 1e6 * least, 1e6 * most
