"""Cascades as torch modules that route each image through as few networks as possible."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Routed:
    """Output of a cascade for a batch of n images.

    Attributes:
        probabilities: Class probabilities at the exit, shape (n, c): averages over the networks that were run, or the
            last network's.
        predictions: Class indices, shape (n,).
        stages: Stage at which each image exits, 0 for the first network, shape (n,).
        costs: Total cost of the networks that were run on each image, in the unit of the networks' costs, shape (n,).
    """

    probabilities: Tensor
    predictions: Tensor
    stages: Tensor
    costs: Tensor


OUTPUTS = ("probabilities", "predictions", "stages", "costs")
"""Names of the outputs of a compiled cascade, see :class:`nas.cascade.module.Routed`."""


def first_values(logits: Tensor, averaging: bool) -> Tensor:
    """Return the values of the first network: probabilities if they are averaged, else logits; (n, c).

    Args:
        logits: Logits of the first network, shape (n, c).
        averaging: Whether probabilities are averaged.
    """
    return logits.float().softmax(dim=1) if averaging else logits.float()


def later_values(values: Tensor, logits: Tensor, stage: int, averaging: bool) -> Tensor:
    """Return the values after one more network, shape (n, c).

    Args:
        values: Values before this network, shape (n, c).
        logits: Logits of this network, shape (n, c).
        stage: Index of this network; the first network has index 0.
        averaging: Whether probabilities are averaged.
    """
    if averaging:
        values = stage / (stage + 1) * values + 1 / (stage + 1) * logits.float().softmax(dim=1)
    else:
        values = logits.float()
    return values


def confidences(values: Tensor, averaging: bool) -> Tensor:
    """Return the confidences that are compared with the exit threshold, shape (n,).

    They are the largest probabilities, or the gaps between the two largest logits.

    Args:
        values: Averaged probabilities or logits, shape (n, c).
        averaging: Whether the values are averaged probabilities.

    Example:
        >>> import torch
        >>> from nas.cascade.module import confidences
        >>> confidences(torch.tensor([[0.5, 0.25, 0.25]]), averaging=True).item()
        0.5
        >>> confidences(torch.tensor([[3.0, 1.0, 0.0]]), averaging=False).item()
        2.0
    """
    if averaging:
        confidence = values.amax(dim=1)
    else:
        highest = values.topk(2, dim=1)[0]
        confidence = highest[:, 0] - highest[:, 1]
    return confidence


class Cascade(nn.Module):
    """Cascade of networks with an exit threshold between consecutive networks (ENCAS, Chebykin et al. 2022, section 3).

    An image exits if the largest of its averaged probabilities exceeds the threshold; otherwise it is passed to the
    next network. Each network receives the images that reach it as one batch.

    Attributes:
        averaging: Whether the probabilities of all networks that were run are averaged; otherwise the last network
            decides.
        networks: Networks in eval mode that map images, (n, 3, height, width), to logits, (n, c).
        thresholds: Exit thresholds, one between each two consecutive networks.
        costs: Cost of each network per image.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from nas.cascade.module import Cascade
        >>> networks = [nn.Sequential(nn.Flatten(), nn.Linear(48, 5)) for _ in range(2)]
        >>> routed = Cascade(networks, limits=[0.0], costs=[10, 30])(torch.rand(3, 3, 4, 4))
        >>> routed.probabilities.shape, routed.stages.tolist(), routed.costs.tolist()
        (torch.Size([3, 5]), [0, 0, 0], [10.0, 10.0, 10.0])
    """

    averaging: ClassVar[bool] = True
    thresholds: Tensor
    costs: Tensor

    def __init__(self, networks: Sequence[nn.Module], limits: Sequence[float], costs: Sequence[float]) -> None:
        """Combine networks to a cascade.

        Args:
            networks: Networks in order, see the attributes.
            limits: Exit thresholds, one fewer than networks; infinite thresholds make an ensemble.
            costs: Cost of each network per image, for example in millions of multiply-adds.

        Raises:
            ValueError: If the lengths do not fit.
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
        """Return the output for images, shape (n, 3, height, width)."""
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
    """Cascade in which each network decides on its own for confident images (GreedyCascade, Streeter 2018).

    An image exits if the network's largest logit exceeds the second largest by more than the threshold; otherwise it is
    passed to the next network. All remaining images exit at the last network.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from nas.cascade.module import GapCascade
        >>> networks = [nn.Sequential(nn.Flatten(), nn.Linear(48, 5)) for _ in range(2)]
        >>> GapCascade(networks, limits=[float("inf")], costs=[10, 30])(torch.rand(3, 3, 4, 4)).costs.tolist()
        [40.0, 40.0, 40.0]
    """

    averaging = False


class _Compiled(nn.Module):
    """Base class of both compiled forms of a cascade.

    It holds the thresholds and the cumulative costs of the networks.
    """

    thresholds: Tensor
    costs: Tensor

    def __init__(self, cascade: Cascade) -> None:
        super().__init__()
        self.averaging = cascade.averaging
        self.register_buffer("thresholds", cascade.thresholds.detach().clone())
        self.register_buffer("costs", cascade.costs.detach().cumsum(dim=0))


@final
class Stages(_Compiled):
    """Form of a :class:`Cascade` for torch.export, in which each later stage is a branch of ``torch.cond``.

    A branch gathers the images that reach its network and scatters the outputs. If no image does, the other branch is
    taken, which computes nothing.
    """

    def __init__(self, cascade: Cascade, networks: Sequence[nn.Module]) -> None:
        """Copy thresholds and costs from a cascade.

        Args:
            cascade: Cascade to compile.
            networks: Networks that compute the same as those of the cascade.
        """
        super().__init__(cascade)
        self.networks = nn.ModuleList(networks)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return ``OUTPUTS`` for images, shape (n, 3, height, width)."""
        values = first_values(self.networks[0](images), self.averaging)
        stages = torch.zeros_like(values[:, 0], dtype=torch.int64)
        going = torch.ones_like(stages, dtype=torch.bool)
        for stage in range(1, len(self.networks)):
            going = going & ~(confidences(values, self.averaging) > self.thresholds[stage - 1])
            values, stages = torch.cond(going.any(), self._asking(stage), _answered, (images, values, stages, going))
        probabilities = values if self.averaging else values.softmax(dim=1)
        return probabilities, probabilities.argmax(dim=1), stages, self.costs[stages]

    def _asking(self, stage: int) -> Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return the branch that runs the network of a stage."""

        def ask(images: Tensor, values: Tensor, stages: Tensor, going: Tensor) -> tuple[Tensor, Tensor]:
            rows = going.nonzero()[:, 0]
            torch._check(rows.shape[0] > 0)  # the branch is taken only if there are rows
            asked = later_values(values[rows], self.networks[stage](images[rows]), stage, self.averaging)
            return values.index_put((rows,), asked), torch.where(going, stage, stages)

        return ask


def _answered(images: Tensor, values: Tensor, stages: Tensor, going: Tensor) -> tuple[Tensor, Tensor]:
    """Return copies of the values and stages, because branches must return new tensors."""
    return values.clone(), stages.clone()


@final
class ScriptedStages(_Compiled):
    """Form of a :class:`Cascade` for TorchScript, which compiles ordinary conditions."""

    def __init__(self, cascade: Cascade, networks: Sequence[nn.Module]) -> None:
        """Copy thresholds and costs from a cascade.

        Args:
            cascade: Cascade to compile.
            networks: Compiled networks that compute the same as those of the cascade.
        """
        super().__init__(cascade)
        self.first = networks[0]
        self.networks = nn.ModuleList(networks[1:])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return ``OUTPUTS`` for images, shape (n, 3, height, width)."""
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
