"""Cascades and ensembles of networks whose outputs are known, evaluated by torch, for GPUs."""

from typing import final

import numpy as np
import numpy.typing as npt
import torch

from nas.space.cascade import compact
from nas.types import Floats, Genomes

_ELEMENTS = 2**26
"""Probabilities that are averaged at once: 256 MB in single precision."""


@final
class TorchOutputs:
    """The same as :class:`nas.evaluator.stored.StoredOutputs`, with the same results, on a device of torch.

    Outputs lie in the device's memory in half precision; genomes and images are taken in turns that fit beside them.
    What each network answers alone is worked out once, so that averages are made for images that go on alone.
    """

    def __init__(self, probabilities: npt.NDArray[np.float16], labels: npt.NDArray[np.int64], device: str) -> None:
        """Copy the outputs, shape (k, n, c), and the class indices, shape (n,), to the device."""
        self._outputs = torch.from_numpy(np.ascontiguousarray(probabilities)).to(device)
        self._labels = torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64)).to(device)
        self.n_images = len(labels)
        judged = [_judged(network.float(), self._labels) for network in self._outputs]
        self._peaks, self._rights = (torch.stack(each) for each in zip(*judged, strict=True))

    @torch.no_grad()
    def cascades(self, networks: Genomes, thresholds: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Return errors in percent, (p,), and how many images reach each position, (p, s); see ``StoredOutputs``."""
        order, networks, thresholds = compact(networks, thresholds)
        device = self._outputs.device
        chosen = torch.from_numpy(networks - 1).to(device)
        limits = torch.from_numpy(thresholds.astype(np.float32)).to(device)
        # what the last network says is above any limit; so is what comes before no network
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
        """Return the wrong answers, (g,), and how many images reach each position, (g, s), of a part of the images.

        Args:
            networks: indices, (g, s); -1 behind the last one.
            limits: behind each position, what an answer's probability has to exceed, (g, s).
            images: which.
        """
        outputs, labels, first = self._outputs[:, images], self._labels[images], networks[:, 0]
        asking = self._peaks[first, images] <= limits[:, :1]
        wrong = (~asking & ~self._rights[first, images]).sum(dim=1)
        reached = torch.zeros_like(networks)
        reached[:, 0] = len(labels)
        genomes, rows = torch.nonzero(asking, as_tuple=True)  # the images that go on, and for whom
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


def _judged(mean: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the largest probability, (m, c) -> (m,), and whether the first class that has it is the right one."""
    peaks = mean.amax(dim=1)
    earlier = torch.arange(mean.shape[1], device=mean.device) < labels[:, None]
    right = mean.gather(1, labels[:, None])[:, 0] == peaks
    return peaks, right & ~((mean == peaks[:, None]) & earlier).any(dim=1)
