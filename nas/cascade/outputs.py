"""Evaluation of whole populations of cascades and ensembles on stored outputs of networks."""

from concurrent.futures import ThreadPoolExecutor
from typing import final

import numpy as np
import numpy.typing as npt
import torch

from nas.cascade.kernel import LANES, count, widen
from nas.cascade.space import compact
from nas.types import Floats, Genomes, PositiveInt

_HALF = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
_CHUNK = 2**22  # outputs that are processed at a time
_BLOCK_BYTES = 2**19  # outputs that all genomes use before the next block; they fit in a core's L2 cache

Counts = npt.NDArray[np.int64]


@final
class StoredOutputs:
    """Outputs of a pool of networks on one split, on which cascades are evaluated with compiled CPU code.

    One pass over the outputs serves a whole population. Outputs are stored in groups of images. In each group they are
    ordered by network and class, with the images side by side, so that the processor averages all images of a group at
    once. A group holds images of similar difficulty; it is finished when all its images have left the cascade. Blocks
    of a few groups stay in the processor's cache while all genomes are evaluated on them. Blocks are distributed over
    threads.
    """

    def __init__(
        self,
        probabilities: npt.NDArray[np.float16],
        labels: npt.NDArray[np.int64],
        threads: PositiveInt,
        memory_mib: PositiveInt,
    ) -> None:
        """Arrange the outputs in memory.

        Args:
            probabilities: Class probabilities of each network, shape (k, n, c), float16, for n images and c classes;
                may be memory-mapped.
            labels: Class indices, shape (n,).
            threads: Number of threads for evaluations.
            memory_mib: Maximum memory for outputs in single precision, in MiB. Larger outputs are kept in half
                precision, and each call converts the outputs of the networks that it uses.
        """
        k, n, c = probabilities.shape
        self.n_images = n
        peaks = np.empty((k, n), dtype=np.float32)
        wrongs = np.empty((k, n), dtype=np.bool_)
        rows = max(1, _CHUNK // (k * c))
        for start in range(0, n, rows):
            part = slice(start, start + rows)
            found = _widened(probabilities[:, part])
            peaks[:, part] = found.max(axis=2)
            wrongs[:, part] = found.argmax(axis=2) != labels[part]
        order = np.argsort(-peaks.mean(axis=0), kind="stable")  # images of low average confidence come last
        empty = -n % LANES
        places = np.concatenate([order, order[:1].repeat(empty)]).reshape(-1, LANES)
        self._images = (_sets(np.arange(n + empty).reshape(-1, LANES) < n), labels[places].astype(np.int32))
        together = np.ascontiguousarray(peaks[:, places].transpose(1, 0, 2))
        self._single = (together, _sets(wrongs[:, places].transpose(1, 0, 2)))
        wide = 4 * places.size * k * c <= memory_mib * 2**20
        self._outputs = _aligned((len(places), k, c, LANES), np.float32 if wide else np.float16)
        for group, images in enumerate(places):
            self._outputs[group] = self._group(probabilities, images, labels[images], wide)
        self._groups = max(1, min(_BLOCK_BYTES // (4 * LANES * k * c), -(-len(places) // threads)))
        self._threads = threads
        self._workers = ThreadPoolExecutor(threads)

    @staticmethod
    def _group(
        probabilities: npt.NDArray[np.float16], images: Genomes, labels: npt.NDArray[np.int64], wide: bool
    ) -> npt.NDArray[np.floating]:
        """Return the outputs on the images of a group, (LANES,), shape (k, c, LANES); see ``kernel.count``."""
        order = np.argsort(images)  # read a memory-mapped file in its own order
        group = np.empty((len(probabilities), len(images), probabilities.shape[2]), dtype=np.float16)
        group[:, order] = probabilities[:, images[order]]
        lanes = np.arange(len(images))
        right = group[:, lanes, labels]
        group[:, lanes, labels] = group[:, :, 0]
        group[:, :, 0] = right
        turned = np.ascontiguousarray(group.transpose(0, 2, 1))
        return _widened(turned) if wide else turned

    def cascades(self, networks: Genomes, thresholds: Floats) -> tuple[Floats, Counts]:
        """Return the error of cascades in percent, (p,), and the number of images that reach each position, (p, s).

        An image exits before position j if the largest of its averaged probabilities so far exceeds the threshold
        before j. Otherwise the probabilities of the network at position j are added to the average (ENCAS, Chebykin et
        al. 2022, section 3).

        Args:
            networks: Network of each position, 1 + its index, or 0 for no network, shape (p, s). No row is all 0.
            thresholds: Thresholds before each position but the first, shape (p, s - 1). Infinite thresholds make an
                ensemble.
        """
        if len(networks) == 0:
            return np.zeros(0), np.zeros(networks.shape, dtype=np.int64)
        order, networks, thresholds = compact(networks, thresholds)
        wanted = np.ascontiguousarray(networks - 1, dtype=np.int16), thresholds.astype(np.float32)
        count_share = self._count if self._outputs.dtype == np.float32 else self._count_converted
        found: Counts = np.sum(
            list(self._workers.map(lambda share: count_share(share, *wanted), range(self._threads))), axis=0
        )
        reached = np.zeros(networks.shape, dtype=np.int64)
        found[:, 0] = self.n_images
        np.put_along_axis(reached, order, found[:, :-1], axis=1)
        return 100 * (found[:, -1] / self.n_images), reached

    def _blocks(self, share: int) -> Counts:
        """Return the first group of each block of one thread."""
        return np.arange(share * self._groups, len(self._outputs), self._threads * self._groups)

    def _count(self, share: int, networks: npt.NDArray[np.int16], thresholds: npt.NDArray[np.float32]) -> Counts:
        counts = np.zeros((len(networks), networks.shape[1] + 1), dtype=np.int64)
        means = _aligned((2 * self._outputs.shape[2] * LANES,), np.float32)
        arrays = self._outputs, self._images, self._single
        count(self._blocks(share), self._groups, *arrays, networks, thresholds, means, counts)
        return counts

    def _count_converted(
        self, share: int, networks: npt.NDArray[np.int16], thresholds: npt.NDArray[np.float32]
    ) -> Counts:
        """Count in one thread's blocks and convert the outputs block by block."""
        used, renumbered = np.unique(networks, return_inverse=True)
        renumbered = (renumbered.reshape(networks.shape) - (used[0] < 0)).astype(np.int16)
        used = used[used >= 0]
        counts = np.zeros((len(networks), networks.shape[1] + 1), dtype=np.int64)
        means = _aligned((2 * self._outputs.shape[2] * LANES,), np.float32)
        first = np.zeros(1, dtype=np.int64)
        for start in self._blocks(share):
            part = slice(start, start + self._groups)
            outputs = _widened(self._outputs[part][:, used])
            images = (self._images[0][part], self._images[1][part])
            single = (np.ascontiguousarray(self._single[0][part][:, used]), self._single[1][part][:, used])
            count(first, self._groups, outputs, images, single, renumbered, thresholds, means, counts)
        return counts


def _sets(members: npt.NDArray[np.bool_]) -> Counts:
    """Return sets of images, (..., LANES) as booleans, as the bits of integers, (...)."""
    sets: Counts = (members * (1 << np.arange(LANES))).sum(axis=-1)
    return sets


def _aligned(shape: tuple[int, ...], dtype: type[np.floating]) -> npt.NDArray[np.floating]:
    """Return an array that starts at a cache line of the processor, so that no vector spans two lines."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.empty(size + 64, dtype=np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size].view(dtype).reshape(shape)


def _widened(half: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    wide = _aligned(half.shape, np.float32)
    widen(np.ascontiguousarray(half).view(np.uint16).reshape(-1), _HALF, wide.reshape(-1))
    return wide


_ELEMENTS = 2**26
"""Number of probabilities that are averaged at a time: 256 MB in single precision."""


@final
class TorchOutputs:
    """Outputs of a pool of networks on one split, on which cascades are evaluated on a torch device.

    Its results equal those of :class:`nas.cascade.outputs.StoredOutputs`. Outputs are stored in the device's memory in
    half precision; genomes and images are processed in parts that fit beside them. The predictions of each network
    alone are computed once, so that averages are needed only for images that reach a second network.

    Example:
        >>> import numpy as np
        >>> from nas.cascade.outputs import TorchOutputs
        >>> probabilities = np.array([[[0.9, 0.1], [0.4, 0.6]], [[0.8, 0.2], [0.7, 0.3]]], dtype=np.float16)
        >>> outputs = TorchOutputs(probabilities, labels=np.array([0, 0]), device="cpu")
        >>> errors, reached = outputs.cascades(np.array([[1, 0], [1, 2]]), thresholds=np.array([[0.0], [0.7]]))
        >>> errors.tolist(), reached.tolist()
        ([50.0, 0.0], [[2, 0], [2, 1]])
    """

    def __init__(self, probabilities: npt.NDArray[np.float16], labels: npt.NDArray[np.int64], device: str) -> None:
        """Copy the outputs to the device.

        Args:
            probabilities: Class probabilities of each network, shape (k, n, c), float16.
            labels: Class indices, shape (n,).
            device: Torch device, for example ``"cuda:0"``.
        """
        self._outputs = torch.from_numpy(np.ascontiguousarray(probabilities)).to(device)
        self._labels = torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64)).to(device)
        self.n_images = len(labels)
        judged = [_judged(network.float(), self._labels) for network in self._outputs]
        self._peaks, self._rights = (torch.stack(each) for each in zip(*judged, strict=True))

    @torch.no_grad()
    def cascades(self, networks: Genomes, thresholds: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Return the errors in percent, (p,), and the number of images that reach each position, (p, s).

        The arguments are those of :meth:`StoredOutputs.cascades`.
        """
        order, networks, thresholds = compact(networks, thresholds)
        device = self._outputs.device
        chosen = torch.from_numpy(networks - 1).to(device)
        limits = torch.from_numpy(thresholds.astype(np.float32)).to(device)
        # the limit -1 behind the last network makes all remaining images exit there
        ends = torch.full((len(chosen), 1), -1.0, device=device)
        limits = torch.cat([torch.where(chosen[:, 1:] >= 0, limits, ends), ends], dim=1)
        wrong = torch.zeros(len(networks), dtype=torch.int64, device=device)
        reached = torch.zeros(networks.shape, dtype=torch.int64, device=device)
        rows = max(1, _ELEMENTS // self._outputs.shape[2])
        images = min(rows, self.n_images)
        genomes = max(1, rows // images)
        for first in range(0, len(networks), genomes):
            for start in range(0, self.n_images, images):
                part, some = slice(first, first + genomes), slice(start, start + images)
                missed, asked = self._count(chosen[part], limits[part], some)
                wrong[part] += missed
                reached[part] += asked
        counts = np.zeros(networks.shape, dtype=np.int64)
        np.put_along_axis(counts, order, reached.cpu().numpy(), axis=1)
        return 100 * (wrong.cpu().numpy() / self.n_images), counts

    def _count(self, networks: torch.Tensor, limits: torch.Tensor, images: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Return counts of wrong predictions, (g,), and of images that reach each position, (g, s), for some images.

        Args:
            networks: Indices of the networks, shape (g, s), with -1 behind the last one.
            limits: Exit thresholds behind each position, shape (g, s).
            images: Slice of the images to process.
        """
        outputs, labels, first = self._outputs[:, images], self._labels[images], networks[:, 0]
        asking = self._peaks[first, images] <= limits[:, :1]
        wrong = (~asking & ~self._rights[first, images]).sum(dim=1)
        reached = torch.zeros_like(networks)
        reached[:, 0] = len(labels)
        genomes, rows = torch.nonzero(asking, as_tuple=True)  # genome and image of each image that does not exit
        mean = outputs[first[genomes], rows].float()
        for position in range(1, networks.shape[1]):
            if len(genomes) == 0:
                break
            reached[:, position] = torch.bincount(genomes, minlength=len(networks))
            new = outputs[networks[genomes, position], rows].float()
            mean = mean * (position / (position + 1)) + new * (1 / (position + 1))
            peaks, rights = _judged(mean, labels[rows])
            on = peaks <= limits[genomes, position]
            wrong += torch.bincount(genomes[~on & ~rights], minlength=len(networks))
            genomes, rows, mean = genomes[on], rows[on], mean[on]
        return wrong, reached


def outputs_on(
    device: str,
    probabilities: npt.NDArray[np.float16],
    labels: npt.NDArray[np.int64],
    *,
    threads: PositiveInt,
    memory_mib: PositiveInt,
) -> StoredOutputs | TorchOutputs:
    """Return outputs on which cascades are evaluated, on a GPU or on the CPU.

    Args:
        device: Torch device: ``"cpu"``, or for example ``"cuda:0"``.
        probabilities: Class probabilities of each network, shape (k, n, c), float16.
        labels: Class indices, shape (n,).
        threads: Number of CPU threads, see :class:`StoredOutputs`; ignored on a GPU.
        memory_mib: Maximum memory for single precision on the CPU, in MiB, see :class:`StoredOutputs`; ignored on a
            GPU.
    """
    if device.startswith("cuda"):
        return TorchOutputs(probabilities, labels, device)
    return StoredOutputs(probabilities, labels, threads, memory_mib)


def _judged(mean: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the largest probability, (m, c) -> (m,), and whether the correct class is the first class that has it."""
    peaks = mean.amax(dim=1)
    earlier = torch.arange(mean.shape[1], device=mean.device) < labels[:, None]
    right = mean.gather(1, labels[:, None])[:, 0] == peaks
    return peaks, right & ~((mean == peaks[:, None]) & earlier).any(dim=1)
