"""Cascades and ensembles of networks whose outputs are known, evaluated for whole populations at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import final

import numpy as np
import numpy.typing as npt

from nas.evaluator.counting import LANES, count, widen
from nas.space.cascade import compact
from nas.types import Floats, Genomes, PositiveInt

_HALF = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
_CHUNK = 2**22  # outputs that are looked at at once

Counts = npt.NDArray[np.int64]


@final
class StoredOutputs:
    """The outputs of a pool of networks on one split, and what their combinations are worth.

    One pass over the outputs serves a population. They lie in blocks of images, in each block network by network and
    class by class with the images beside each other, so that the processor averages many images at once and the block
    stays in its cache while every genome looks at it. Blocks hold images of similar difficulty: where a cascade has
    answered all images of a block, it is done with it. Threads take turns in the blocks.
    """

    def __init__(
        self,
        probabilities: npt.NDArray[np.float16],
        labels: npt.NDArray[np.int64],
        threads: PositiveInt,
        memory_mib: PositiveInt,
    ) -> None:
        """Lay out the outputs.

        Args:
            probabilities: of each network, shape (k, n, c): n images, c classes; may be memory-mapped.
            labels: class indices, shape (n,).
            threads: for evaluations.
            memory_mib: most memory for outputs in single precision; where they take more, they are kept in half
                precision, and each call converts those of the networks that occur in it.
        """
        k, n, c = probabilities.shape
        self.n_images = n
        peaks = np.empty((k, n), dtype=np.float32)
        rights = np.empty((k, n), dtype=np.bool_)
        rows = max(1, _CHUNK // (k * c))
        for start in range(0, n, rows):
            part = slice(start, start + rows)
            found = _widened(probabilities[:, part])
            peaks[:, part] = found.max(axis=2)
            rights[:, part] = found.argmax(axis=2) == labels[part]
        order = np.argsort(-peaks.mean(axis=0), kind="stable")  # images that few networks are sure of come last
        empty = -n % LANES
        places = np.concatenate([order, order[:1].repeat(empty)]).reshape(-1, LANES)
        valid = (np.arange(n + empty) < n).astype(np.float32).reshape(-1, LANES)
        self._images = (labels[places].astype(np.int32), valid)
        right = np.where(valid[:, None] > 0, rights[:, places].transpose(1, 0, 2), 1.0)
        self._single = (np.ascontiguousarray(peaks[:, places].transpose(1, 0, 2)), right.astype(np.float32))
        wide = 4 * places.size * k * c <= memory_mib * 2**20
        self._outputs = np.empty((len(places), k, c, LANES), dtype=np.float32 if wide else np.float16)
        for block, images in enumerate(places):
            self._outputs[block] = self._block(probabilities, images, labels[images], wide)
        self._threads = threads
        self._workers = ThreadPoolExecutor(threads)

    @staticmethod
    def _block(
        probabilities: npt.NDArray[np.float16], images: Genomes, labels: npt.NDArray[np.int64], wide: bool
    ) -> npt.NDArray[np.floating]:
        """Return the outputs on the images of a block, (LANES,), shape (k, c, LANES); see ``counting.count``."""
        order = np.argsort(images)  # a memory-mapped file is read in its order
        block = np.empty((len(probabilities), len(images), probabilities.shape[2]), dtype=np.float16)
        block[:, order] = probabilities[:, images[order]]
        lanes = np.arange(len(images))
        right = block[:, lanes, labels]
        block[:, lanes, labels] = block[:, :, 0]
        block[:, :, 0] = right
        turned = np.ascontiguousarray(block.transpose(0, 2, 1))
        return _widened(turned) if wide else turned

    @property
    def n_networks(self) -> int:
        """The number of networks, k."""
        return int(self._outputs.shape[1])

    def cascades(self, networks: Genomes, thresholds: Floats) -> tuple[Floats, Counts]:
        """Return the error of cascades in percent, (p,), and how many images reach each position, (p, s).

        An image goes on to position j unless the largest of its averaged probabilities so far exceeds the threshold
        before it; then the network's probabilities are averaged in (ENCAS, Chebykin et al. 2022, section 3).

        Args:
            networks: per position 0 for no network or 1 + its index, shape (p, s); no row is all 0.
            thresholds: before each position but the first, shape (p, s - 1); infinite ones make an ensemble.
        """
        order, networks, thresholds = compact(networks, thresholds)
        wanted = np.ascontiguousarray(networks - 1, dtype=np.int16), thresholds.astype(np.float32)
        if self._outputs.dtype == np.float32:
            shares = [np.arange(start, len(self._outputs), self._threads) for start in range(self._threads)]
            parts = self._workers.map(lambda blocks: self._count(self._outputs, blocks, *wanted), shares)
        else:
            parts = self._workers.map(lambda share: self._converted(share, *wanted), range(self._threads))
        found: Counts = np.sum(list(parts), axis=0)
        reached = np.zeros(networks.shape, dtype=np.int64)
        found[:, 0] = self.n_images
        np.put_along_axis(reached, order, found[:, :-1], axis=1)
        return 100 * (found[:, -1] / self.n_images), reached

    def _count(
        self,
        outputs: npt.NDArray[np.float32],
        blocks: Counts,
        networks: npt.NDArray[np.int16],
        thresholds: npt.NDArray[np.float32],
    ) -> Counts:
        counts = np.zeros((len(networks), networks.shape[1] + 1), dtype=np.int32)
        count(blocks, outputs, self._images, self._single, networks, thresholds, counts)
        return counts.astype(np.int64)

    def _converted(self, share: int, networks: npt.NDArray[np.int16], thresholds: npt.NDArray[np.float32]) -> Counts:
        """Count in every so many blocks, from ``share`` on, converting a block at a time."""
        used, renumbered = np.unique(networks, return_inverse=True)
        renumbered = (renumbered.reshape(networks.shape) - (used[0] < 0)).astype(np.int16)
        used = used[used >= 0]
        found = np.zeros((len(networks), networks.shape[1] + 1), dtype=np.int32)
        first = np.zeros(1, dtype=np.int64)
        for block in range(share, len(self._outputs), self._threads):
            outputs = _widened(self._outputs[block, used])[None]
            images = (self._images[0][block : block + 1], self._images[1][block : block + 1])
            single = (self._single[0][block, used][None], self._single[1][block, used][None])
            count(first, outputs, images, single, renumbered, thresholds, found)
        return found.astype(np.int64)


def _widened(half: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    wide = np.empty(half.shape, dtype=np.float32)
    widen(np.ascontiguousarray(half).view(np.uint16).reshape(-1), _HALF, wide.reshape(-1))
    return wide
