"""Cascades whose stages an exported graph runs for the images that reach them, and not at all where none does."""

from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor, nn

from nas.evaluator.cascade_module import Cascade, GapCascade

OUTPUTS = ("probabilities", "predictions", "stages", "costs")
"""What a cascade returns, as in :class:`nas.evaluator.cascade_module.Routed`."""


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


@final
class Stages(nn.Module):
    """A :class:`Cascade` or :class:`GapCascade` for torch.export, each later stage a branch of ``torch.cond``.

    A branch gathers the images that reach its network and scatters the answers. Where no image does, the other
    branch, which computes nothing, is taken.
    """

    def __init__(self, cascade: Cascade | GapCascade, networks: Sequence[nn.Module]) -> None:
        """Take thresholds and costs from a cascade, and networks that compute what its own do."""
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.averaging = isinstance(cascade, Cascade)
        self.register_buffer("thresholds", cascade.thresholds.detach().clone())
        self.register_buffer("costs", cascade.costs.detach().cumsum(dim=0))
        self.thresholds: Tensor
        self.costs: Tensor

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
class ScriptedStages(nn.Module):
    """The same for TorchScript, which compiles ordinary conditions."""

    def __init__(self, cascade: Cascade | GapCascade, networks: Sequence[nn.Module]) -> None:
        """Take thresholds and costs from a cascade, and compiled networks that compute what its own do."""
        super().__init__()
        self.first = networks[0]
        self.networks = nn.ModuleList(networks[1:])
        self.averaging = isinstance(cascade, Cascade)
        self.register_buffer("thresholds", cascade.thresholds.detach().clone())
        self.register_buffer("costs", cascade.costs.detach().cumsum(dim=0))
        self.thresholds: Tensor
        self.costs: Tensor

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
