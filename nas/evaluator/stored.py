"""Cascades and ensembles of networks whose outputs are known, evaluated for whole populations at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, final

import numba
import numpy as np
import numpy.typing as npt

from nas.types import Floats, Genomes, PositiveInt

BLOCK_BYTES = 2**23
"""Of outputs that are converted to float32 at once."""

WORST_ERROR, WORST_COST = 100.0, 1e5
"""Of a genome without any network: percent, and millions of multiply-adds (ENCAS's values)."""


@final
class StoredOutputs:
    """The outputs of a pool of networks on one split, and what their combinations are worth.

    One pass over the outputs serves a population: outputs lie in memory image by image, so that those of one image,
    of all networks, stay in the processor's cache while every genome looks at them. Blocks of images go to threads.
    """

    def __init__(
        self,
        probabilities: npt.NDArray[np.float16],
        labels: npt.NDArray[np.int64],
        costs: Floats,
        threads: PositiveInt,
    ) -> None:
        """Lay out the outputs.

        Args:
            probabilities: of each network, shape (k, n, c): n images, c classes; may be memory-mapped.
            labels: class indices, shape (n,).
            costs: of each network for one image, shape (k,), for example in millions of multiply-adds.
            threads: for evaluations.
        """
        self._outputs = np.ascontiguousarray(probabilities.transpose(1, 0, 2))
        self._labels = np.ascontiguousarray(labels, dtype=np.int64)
        self._costs = np.concatenate([[0.0], costs])
        self._threads = threads
        n, k, c = self._outputs.shape
        rows = max(1, min(-(-n // threads), BLOCK_BYTES // (4 * k * c)))
        self._blocks = [(start, min(start + rows, n)) for start in range(0, n, rows)]
        self._highest = np.empty((n, k), dtype=np.float32)
        self._correct = np.empty((n, k), dtype=np.bool_)
        for start, stop in self._blocks:
            block = self._outputs[start:stop].astype(np.float32)
            self._highest[start:stop] = block.max(axis=2)
            self._correct[start:stop] = block.argmax(axis=2) == self._labels[start:stop, None]

    @property
    def n_networks(self) -> int:
        """The number of networks, k."""
        return int(self._outputs.shape[1])

    def cascades(self, networks: Genomes, thresholds: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Return error and expected cost of cascades, (p, 2), and how many images reach each position, (p, s).

        An image goes on to position j unless the largest of its averaged probabilities so far exceeds the threshold
        before it; then the network's probabilities are averaged in (ENCAS, Chebykin et al. 2022, section 3).

        Args:
            networks: per position 0 for no network or 1 + its index, shape (p, s).
            thresholds: before each position but the first, shape (p, s - 1).
        """
        return self._evaluate(networks, thresholds.astype(np.float32))

    def ensembles(self, networks: Genomes) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Return error and cost of ensembles, (p, 2), and how many images reach each position, (p, s): all of them.

        Args:
            networks: 0 for no network or 1 + its index, shape (p, s); their probabilities are averaged.
        """
        return self._evaluate(networks, np.full((len(networks), networks.shape[1] - 1), np.inf, dtype=np.float32))

    def _evaluate(self, networks: Genomes, thresholds: npt.NDArray[np.float32]) -> tuple[Floats, npt.NDArray[np.int64]]:
        networks = np.ascontiguousarray(networks, dtype=np.int64)
        thresholds = np.ascontiguousarray(thresholds)

        def work(block: tuple[int, int]) -> tuple[Any, Any]:
            rows = slice(*block)
            wrong = np.zeros(len(networks), dtype=np.int64)
            reached = np.zeros(networks.shape, dtype=np.int64)
            outputs = self._outputs[rows].astype(np.float32)
            _count(
                outputs, self._labels[rows], self._highest[rows], self._correct[rows],
                networks, thresholds, wrong, reached,
            )  # fmt: skip
            return wrong, reached

        if self._threads == 1:
            found = [work(block) for block in self._blocks]
        else:
            with ThreadPoolExecutor(self._threads) as pool:
                found = list(pool.map(work, self._blocks))
        wrong = np.sum([w for w, _ in found], axis=0)
        reached = np.sum([r for _, r in found], axis=0)
        n = len(self._labels)
        cost = np.zeros(len(networks))
        for position in range(networks.shape[1]):  # in this order, as the published code adds them up
            cost += self._costs[networks[:, position]] * (reached[:, position] / n)
        empty = ~networks.any(axis=1)
        error = np.where(empty, WORST_ERROR, 100 * (wrong / n))
        return np.column_stack([error, np.where(empty, WORST_COST, cost)]), reached


@numba.njit(nogil=True, cache=True, fastmath={"nnan", "nsz"})
def _count(  # noqa: PLR0912, PLR0917 -- compiled: one loop, plain arguments
    outputs: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    highest: npt.NDArray[np.float32],
    correct: npt.NDArray[np.bool_],
    networks: Genomes,
    thresholds: npt.NDArray[np.float32],
    wrong: npt.NDArray[np.int64],
    reached: npt.NDArray[np.int64],
) -> None:
    """Add to ``wrong``, (p,), and ``reached``, (p, s), what cascades do with a block of images; see ``cascades``."""
    n_images, _, n_classes = outputs.shape
    n_genomes, size = networks.shape
    mean = np.empty(n_classes, dtype=np.float32)
    for image in range(n_images):
        for genome in range(n_genomes):
            used = 0
            first = 0
            peak = np.float32(0.0)
            right = False
            for position in range(size):
                network = networks[genome, position] - 1
                if network < 0:
                    continue
                if used > 0 and peak > thresholds[genome, position - 1]:
                    break
                used += 1
                reached[genome, position] += 1
                if used == 1:
                    first = network
                    peak = highest[image, network]
                    right = correct[image, network]
                    continue
                old = np.float32((used - 1) / used)
                new = np.float32(1 / used)
                row = outputs[image, network]
                if used == 2:
                    start = outputs[image, first]
                    for c in range(n_classes):
                        mean[c] = old * start[c] + new * row[c]
                else:
                    for c in range(n_classes):
                        mean[c] = old * mean[c] + new * row[c]
                peak = mean[0]
                for c in range(1, n_classes):
                    peak = max(peak, mean[c])
                label = labels[image]
                right = mean[label] == peak
                if right:
                    for c in range(label):  # of equal probabilities the first counts
                        right &= mean[c] != peak
            if not right:
                wrong[genome] += 1
