"""Cascades as networks that send each image only as far as they have to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Routed:
    """What a cascade says about a batch of n images.

    Attributes:
        probabilities: of the answer: averages over the networks that were asked, or the last one's, shape (n, c).
        predictions: class indices, shape (n,).
        stages: how many networks were asked about each image but one: 0 for the first alone, shape (n,).
        costs: of the networks that were asked about each image, in the unit of the networks' costs, shape (n,).
    """

    probabilities: Tensor
    predictions: Tensor
    stages: Tensor
    costs: Tensor


OUTPUTS = ("probabilities", "predictions", "stages", "costs")
"""What a cascade returns, as in :class:`nas.cascade.module.Routed`."""


def first_values(logits: Tensor, averaging: bool) -> Tensor:
    """Return what is kept of the first network's answers: probabilities where they are averaged, else logits."""
    return logits.float().softmax(dim=1) if averaging else logits.float()


def later_values(values: Tensor, logits: Tensor, stage: int, averaging: bool) -> Tensor:
    """Return what is kept after one more network, the first being stage 0; all (n, c)."""
    if averaging:
        values = stage / (stage + 1) * values + 1 / (stage + 1) * logits.float().softmax(dim=1)
    else:
        values = logits.float()
    return values


def confidences(values: Tensor, averaging: bool) -> Tensor:
    """Return what has to exceed the threshold, (n,): the largest probability, or the gap of the largest logits."""
    if averaging:
        confidence = values.amax(dim=1)
    else:
        highest = values.topk(2, dim=1)[0]
        confidence = highest[:, 0] - highest[:, 1]
    return confidence


class Cascade(nn.Module):
    """Networks in order and a threshold between each two (ENCAS, Chebykin et al. 2022, section 3).

    An image goes on to the next network unless the largest of its averaged probabilities exceeds the threshold. Each
    network gets the images that reach it as one batch.

    Attributes:
        averaging: whether the networks that were asked answer together, or the last one alone.
        networks: images, (n, 3, height, width), to logits, (n, c), in eval mode.
        thresholds: what an answer has to exceed, one between each two networks.
        costs: of each network for one image.
    """

    averaging: ClassVar[bool] = True
    thresholds: Tensor
    costs: Tensor

    def __init__(self, networks: Sequence[nn.Module], limits: Sequence[float], costs: Sequence[float]) -> None:
        """Put the networks together.

        Args:
            networks: see the attributes.
            limits: thresholds, one fewer than networks; infinite ones make an ensemble.
            costs: of each network for one image, for example in millions of multiply-adds.

        Raises:
            ValueError: if the lengths do not fit.
        """
        super().__init__()
        if not len(networks) == len(costs) == len(limits) + 1:
            raise ValueError(
                f"{len(networks)} networks need as many costs and a threshold less, "
                f"got {len(costs)} costs and {len(limits)} thresholds"
            )
        self.networks = nn.ModuleList(networks)
        self.register_buffer("thresholds", torch.tensor([float(limit) for limit in limits], dtype=torch.float32))
        self.register_buffer("costs", torch.tensor([float(cost) for cost in costs], dtype=torch.float64))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Routed:
        """Return what the cascade says about images, shape (n, 3, height, width)."""
        values = first_values(self.networks[0](images), self.averaging)
        stages = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        rows = torch.arange(len(images), device=images.device)
        for stage in range(1, len(self.networks)):
            rows = rows[~(confidences(values[rows], self.averaging) > self.thresholds[stage - 1])]
            if len(rows) == 0:
                break
            values[rows] = later_values(values[rows], self.networks[stage](images[rows]), stage, self.averaging)
            stages[rows] = stage
        probabilities = values if self.averaging else values.softmax(dim=1)
        return Routed(probabilities, probabilities.argmax(dim=1), stages, self.costs.cumsum(dim=0)[stages])


@final
class GapCascade(Cascade):
    """Networks in order, each of which answers what it is confident of (GreedyCascade, Streeter 2018).

    An image goes on to the next network unless the network's largest logit exceeds the second largest by more than
    the gap between the two networks. The last network answers the rest.
    """

    averaging = False


class _Compiled(nn.Module):
    """What both compiled forms of a cascade have: its thresholds, and costs of the networks up to each."""

    thresholds: Tensor
    costs: Tensor

    def __init__(self, cascade: Cascade) -> None:
        super().__init__()
        self.averaging = cascade.averaging
        self.register_buffer("thresholds", cascade.thresholds.detach().clone())
        self.register_buffer("costs", cascade.costs.detach().cumsum(dim=0))


@final
class Stages(_Compiled):
    """A :class:`Cascade` for torch.export, each later stage a branch of ``torch.cond``.

    A branch gathers the images that reach its network and scatters the answers. Where no image does, the other
    branch, which computes nothing, is taken.
    """

    def __init__(self, cascade: Cascade, networks: Sequence[nn.Module]) -> None:
        """Take thresholds and costs from a cascade, and networks that compute what its own do."""
        super().__init__(cascade)
        self.networks = nn.ModuleList(networks)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return ``OUTPUTS`` for images, (n, 3, height, width)."""
        values = first_values(self.networks[0](images), self.averaging)
        stages = torch.zeros_like(values[:, 0], dtype=torch.int64)
        going = torch.ones_like(stages, dtype=torch.bool)
        for stage in range(1, len(self.networks)):
            going = going & ~(confidences(values, self.averaging) > self.thresholds[stage - 1])
            values, stages = torch.cond(going.any(), self._asking(stage), _answered, (images, values, stages, going))
        probabilities = values if self.averaging else values.softmax(dim=1)
        return probabilities, probabilities.argmax(dim=1), stages, self.costs[stages]

    def _asking(self, stage: int) -> Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return the branch that asks the network of a stage."""

        def ask(images: Tensor, values: Tensor, stages: Tensor, going: Tensor) -> tuple[Tensor, Tensor]:
            rows = going.nonzero()[:, 0]
            torch._check(rows.shape[0] > 0)  # or the branch would not be taken
            asked = later_values(values[rows], self.networks[stage](images[rows]), stage, self.averaging)
            return values.index_put((rows,), asked), torch.where(going, stage, stages)

        return ask


def _answered(images: Tensor, values: Tensor, stages: Tensor, going: Tensor) -> tuple[Tensor, Tensor]:
    """Leave all as it is; branches must return tensors of their own."""
    return values.clone(), stages.clone()


@final
class ScriptedStages(_Compiled):
    """The same for TorchScript, which compiles ordinary conditions."""

    def __init__(self, cascade: Cascade, networks: Sequence[nn.Module]) -> None:
        """Take thresholds and costs from a cascade, and compiled networks that compute what its own do."""
        super().__init__(cascade)
        self.first = networks[0]
        self.networks = nn.ModuleList(networks[1:])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return ``OUTPUTS`` for images, (n, 3, height, width)."""
        values = first_values(self.first(images), self.averaging)
        stages = torch.zeros_like(values[:, 0], dtype=torch.int64)
        rows = torch.arange(values.shape[0], device=images.device)
        for index, network in enumerate(self.networks):
            rows = rows[~(confidences(values[rows], self.averaging) > self.thresholds[index])]
            if rows.numel() > 0:
                values[rows] = later_values(values[rows], network(images[rows]), index + 1, self.averaging)
                stages[rows] = index + 1
        probabilities = values if self.averaging else values.softmax(dim=1)
        return probabilities, probabilities.argmax(dim=1), stages, self.costs[stages]
