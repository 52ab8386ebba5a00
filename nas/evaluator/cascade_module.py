"""A cascade of networks as one network that sends each image only as far as it has to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Routed:
    """What a cascade says about a batch of n images.

    Attributes:
        probabilities: averages over the networks that were asked, shape (n, c).
        predictions: class indices, shape (n,).
        stages: how many networks were asked about each image but one: 0 for the first alone, shape (n,).
        costs: of the networks that were asked about each image, in the unit of the networks' costs, shape (n,).
    """

    probabilities: Tensor
    predictions: Tensor
    stages: Tensor
    costs: Tensor


@final
class Cascade(nn.Module):
    """Networks in order and a threshold between each two (ENCAS, Chebykin et al. 2022, section 3).

    An image goes on to the next network unless the largest of its averaged probabilities exceeds the threshold. Each
    network gets the images that reach it as one batch.
    """

    def __init__(self, networks: Sequence[nn.Module], thresholds: Sequence[float], costs: Sequence[float]) -> None:
        """Put the networks together.

        Args:
            networks: images, (n, 3, r, r), to logits, (n, c), in eval mode.
            thresholds: one fewer than networks; infinite ones make an ensemble.
            costs: of each network for one image, for example in millions of multiply-adds.

        Raises:
            ValueError: if the lengths do not fit.
        """
        super().__init__()
        if not len(networks) == len(costs) == len(thresholds) + 1:
            raise ValueError(
                f"{len(networks)} networks need as many costs and a threshold less, "
                f"got {len(costs)} costs and {len(thresholds)} thresholds"
            )
        self.networks = nn.ModuleList(networks)
        self.register_buffer("thresholds", torch.tensor([float(t) for t in thresholds], dtype=torch.float32))
        self.register_buffer("costs", torch.tensor([float(c) for c in costs], dtype=torch.float64))
        self.thresholds: Tensor
        self.costs: Tensor

    @torch.no_grad()
    def forward(self, images: Tensor) -> Routed:
        """Return what the cascade says about images, shape (n, 3, r, r)."""
        mean = self.networks[0](images).float().softmax(dim=1)
        stages = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        rows = torch.arange(len(images), device=images.device)
        for stage in range(1, len(self.networks)):
            rows = rows[~(mean[rows].amax(dim=1) > self.thresholds[stage - 1])]
            if len(rows) == 0:
                break
            new = self.networks[stage](images[rows]).float().softmax(dim=1)
            mean[rows] = stage / (stage + 1) * mean[rows] + 1 / (stage + 1) * new
            stages[rows] = stage
        return Routed(mean, mean.argmax(dim=1), stages, self.costs.cumsum(dim=0)[stages])
