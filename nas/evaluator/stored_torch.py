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
    """

    def __init__(self, probabilities: npt.NDArray[np.float16], labels: npt.NDArray[np.int64], device: str) -> None:
        """Copy the outputs, shape (k, n, c), and the class indices, shape (n,), to the device."""
        self._outputs = torch.from_numpy(np.ascontiguousarray(probabilities)).to(device)
        self._labels = torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64)).to(device)
        self.n_images = len(labels)

    @torch.no_grad()
    def cascades(self, networks: Genomes, thresholds: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Return errors in percent, (p,), and how many images reach each position, (p, s); see ``StoredOutputs``."""
        order, networks, thresholds = compact(networks, thresholds)
        device = self._outputs.device
        chosen = torch.from_numpy(networks - 1).to(device)
        limits = torch.from_numpy(thresholds.astype(np.float32)).to(device)
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

    def _count(
        self, networks: torch.Tensor, thresholds: torch.Tensor, images: slice
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the wrong answers, (g,), and how many images reach each position, (g, s), of a part of the images."""
        outputs, labels = self._outputs[:, images], self._labels[images]
        mean = outputs[networks[:, 0]].float()
        peak, right = self._judged(mean, labels)
        asking = torch.ones_like(right)
        reached = [asking.sum(dim=1)]
        for position in range(1, networks.shape[1]):
            asking &= (peak <= thresholds[:, position - 1, None]) & (networks[:, position, None] >= 0)
            reached.append(asking.sum(dim=1))
            genomes, rows = torch.nonzero(asking, as_tuple=True)
            if len(genomes) == 0:
                reached += [torch.zeros_like(reached[0])] * (networks.shape[1] - position - 1)
                break
            new = outputs[networks[genomes, position], rows].float()
            averaged = mean[genomes, rows] * (position / (position + 1)) + new * (1 / (position + 1))
            mean[genomes, rows] = averaged
            peak[genomes, rows], right[genomes, rows] = self._judged(averaged, labels[rows])
        return (~right).sum(dim=1), torch.stack(reached, dim=1)

    @staticmethod
    def _judged(mean: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the largest probability and whether the first class that has it is the right one."""
        peak = mean.amax(dim=-1)
        classes = torch.arange(mean.shape[-1], device=mean.device)
        at_peak = torch.where(mean == peak[..., None], classes, mean.shape[-1])
        return peak, at_peak.amin(dim=-1) == labels
