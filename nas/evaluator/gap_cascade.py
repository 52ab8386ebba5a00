"""``space=gap_cascade``: cascades in which one network answers each image, chosen by confidence gaps."""

from typing import final

import numba
import numpy as np
import numpy.typing as npt

from nas.evaluator.cascade_source import CascadeSource, Outcome, PoolOfNetworks, Split
from nas.space.gap_cascade import GapCascadeSpace
from nas.types import Genomes

LONGEST = 5
"""Networks that bound the costs of cascades in the box of hypervolumes: as many as ENCAS's cascades have by default, so
that both have the same box. The number of networks in the pool, which depends on the seed, bounds the length itself."""


@final
class GapCascades(CascadeSource):
    """Cascades of Streeter (2018, *Approximation Algorithms for Cascading Prediction Models*)."""

    def __init__(self, *, pool: PoolOfNetworks) -> None:
        """Describe the space of cascades from a pool whose outputs are stored."""
        super().__init__(pool)
        self.longest = LONGEST
        self.space: GapCascadeSpace = GapCascadeSpace(names=pool.names, costs=pool.costs["flops"])
        self._stored: dict[Split, tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]] = {}

    def _evaluate(self, genomes: Genomes, split: Split) -> Outcome:
        if split not in self._stored:
            found = self._pool.outputs(split)
            right = np.stack([each.argmax(axis=1) == found.labels for each in found.probabilities])
            self._stored[split] = right, np.ascontiguousarray(found.gaps, dtype=np.float32)
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
