"""Stochastic gradient descent on a supernet, with one architecture and one resolution per step."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softmax

from nas.dataset.base import Dataset
from nas.dataset.training_batches import TrainingBatches
from nas.space.base import SearchSpace
from nas.supernet.base import Supernet
from nas.supernet.precision import gradient_scaler, mixed
from nas.team import Team
from nas.training.descent import Descent, copied
from nas.types import Architecture, Floats, Genomes


@dataclass(frozen=True, kw_only=True)
class AdaptationSettings:
    """Settings of the gradient descent.

    Attributes:
        batch_size: Number of images in a batch, of all processes together.
        momentum: Nesterov momentum, 0 to 1.
        weight_decay: Weight decay of all parameters.
        label_smoothing: Label smoothing: share of the target that is spread over all classes, 0 to 1.
        distillation: Weight of the knowledge distillation from the largest architecture in the loss, 0 to 1.
        ema: Decay of the exponential moving average (EMA) of the weights; ``None`` for no average.
        amp: Whether to use mixed precision on a GPU.
        seed: Seed of the images' order, augmentation and dropout.
    """

    batch_size: int
    momentum: float
    weight_decay: float
    label_smoothing: float
    distillation: float
    ema: float | None
    amp: bool
    seed: int


@final
class Adaptation:
    """Training of a supernet in one process of a team."""

    def __init__(
        self, *, supernet: Supernet, dataset: Dataset, device: torch.device, team: Team, settings: AdaptationSettings
    ) -> None:
        """Prepare the optimizer; the supernet moves to the device.

        Args:
            supernet: Supernet to train.
            dataset: Data set; its training split is used.
            device: Torch device of this process.
            team: Team of this process.
            settings: Settings of the training.
        """
        self._supernet = supernet
        self._device = device
        self._team = team
        self._settings = settings
        self.batches = TrainingBatches(
            dataset=dataset, batch_size=settings.batch_size, seed=settings.seed, device=device, team=team
        )
        self._module = supernet.module.to(device)
        if device.type == "cuda":
            self._module = self._module.to(memory_format=torch.channels_last)
        self._parameters = list(self._module.parameters())
        for parameter in self._parameters:  # an earlier training may have left gradients
            parameter.grad = None
        self._optimizer = torch.optim.SGD(
            self._parameters,
            lr=1.0,
            momentum=settings.momentum,
            nesterov=settings.momentum > 0,
            weight_decay=settings.weight_decay,
        )
        scaler = gradient_scaler(device, settings.amp)
        self._descent = Descent(self._optimizer, self._parameters, scaler=scaler, device=device, team=team)
        self._average: dict[str, Tensor] = {}
        self._trained: dict[str, Tensor] = {}  # the trained weights while the supernet holds their average

    def state(self) -> dict[str, Any]:
        """Return a copy of the training's state in host memory."""
        state = {
            "weights": self._trained or dict(self._module.state_dict()),
            **self._descent.state(),
            "moving": [i for i, parameter in enumerate(self._parameters) if parameter.grad is not None],
            "ema": self._average,
        }
        copy: dict[str, Any] = copied(state)
        return copy

    def load(self, state: dict[str, Any]) -> None:
        """Resume from a state that :meth:`state` returned, possibly in another process."""
        self._trained = {}
        self._module.load_state_dict(state["weights"])
        self._descent.load(state)
        moving = set(state["moving"])
        for i, parameter in enumerate(self._parameters):  # a zero gradient keeps momentum and decay of earlier steps
            parameter.grad = torch.zeros_like(parameter) if i in moving else None
        self._average = {n: tensor.to(self._device, copy=True) for n, tensor in state["ema"].items()}

    def show_average(self) -> None:
        """Load the moving average (EMA) into the supernet until it is trained again; do nothing without one."""
        if self._average and not self._trained:
            self._trained = {name: tensor.detach().clone() for name, tensor in self._module.state_dict().items()}
            self._module.load_state_dict(self._average, strict=False)

    def train_epoch(self, number: int, genomes: Genomes, rates: Floats) -> None:
        """Train for an epoch: one step for each genome.

        All processes of a team must call this with the same arguments and start from the same state.

        Args:
            number: Number of the epoch, from 0.
            genomes: Genomes to train, one for each step, shape (s, d).
            rates: Learning rate of each step, shape (s,).
        """
        if self._trained:
            self._module.load_state_dict(self._trained)
            self._trained = {}
        if self._settings.ema is not None and not self._average:
            self._average = {
                n: t.detach().clone() for n, t in self._module.state_dict().items() if t.is_floating_point()
            }
        architectures = [self._supernet.space.decode(genome) for genome in genomes]
        sides = [architecture.config["r"] for architecture in architectures]
        self._module.train()
        with self._descent.seeded(self._settings.seed, number, f"dropout {self._team.rank}"):
            batches = self.batches.epoch(number, sides)
            for (images, targets), architecture, rate in zip(batches, architectures, rates.tolist(), strict=True):
                self._step(images, targets, architecture, rate)
        self._module.eval()

    def _step(self, images: Tensor, targets: Tensor, architecture: Architecture, rate: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        # As published, gradients are zero instead of None: momentum and decay also apply to layers that are not used.
        self._optimizer.zero_grad(set_to_none=False)
        with mixed(self._device, self._settings.amp):
            loss = self._loss(images, targets, architecture)
        share = len(images) / min(self._settings.batch_size, self.batches.n_images)
        self._descent.step(loss * share)
        if self._average:
            current = self._module.state_dict()
            ours = list(self._average.values())
            torch._foreach_lerp_(ours, [current[name] for name in self._average], 1 - (self._settings.ema or 0.0))

    def _loss(self, images: Tensor, targets: Tensor, architecture: Architecture) -> Tensor:
        logits = self._supernet.forward(images, architecture).float()
        loss = cross_entropy(logits, targets, label_smoothing=self._settings.label_smoothing)
        if self._settings.distillation == 0:
            return loss
        space = self._supernet.space
        with torch.no_grad():
            teacher = softmax(self._supernet.forward(images, space.decode(space.largest)).float(), dim=1)
        return torch.lerp(loss, cross_entropy(logits, teacher), self._settings.distillation)


@dataclass(frozen=True)
class AdaptationReplica:
    """Factory that builds an :class:`Adaptation` in another process.

    Attributes:
        replica: Function that builds data set and supernet for a device.
        settings: Settings of the training.
    """

    replica: Callable[[str], tuple[Dataset, Supernet]]
    settings: AdaptationSettings

    def __call__(self, device: str) -> Callable[..., Adaptation]:
        """Return a function that makes the :class:`Adaptation` when the process joins a team."""
        dataset, supernet = self.replica(device)
        return partial(Adaptation, supernet=supernet, dataset=dataset, settings=self.settings)


def in_turn(genomes: Genomes, n: int, rng: np.random.Generator) -> Genomes:
    """Repeat the genomes in random order until there are ``n``, (k, d) -> (n, d).

    Each round has its own order, so all genomes come about equally often.

    Example:
        >>> import numpy as np
        >>> from nas.training.adaptation import in_turn
        >>> genomes = np.array([[0, 1], [2, 3]])
        >>> np.unique(in_turn(genomes, 6, np.random.default_rng(0))[:, 0], return_counts=True)[1]
        array([3, 3])
    """
    rounds = [rng.permutation(len(genomes)) for _ in range(-(-n // len(genomes)))]
    return genomes[np.concatenate(rounds)[:n]]


def from_distribution(space: SearchSpace, genomes: Genomes, n: int, rng: np.random.Generator) -> Genomes:
    """Draw ``n`` genomes gene by gene from the values of the given genomes, (k, d) -> (n, d).

    Genes are drawn independently (NAT, Lu et al. 2021, section 3.2). Genomes that do not express a gene do not count
    for it. The frequency of each value is its share in the genomes, rounded: a width that half of the genomes have
    gets half of the steps.

    Example:
        >>> import numpy as np
        >>> from nas.space.integer import IntegerSpace
        >>> from nas.training.adaptation import from_distribution
        >>> space, genomes = IntegerSpace([0, 0], [9, 9]), np.array([[0, 7], [2, 7]])
        >>> drawn = from_distribution(space, genomes, 6, np.random.default_rng(0))
        >>> np.bincount(drawn[:, 0]).tolist(), set(drawn[:, 1].tolist())
        ([3, 0, 3], {7})
    """
    drawn = np.tile(space.lower, (n, 1))
    expressed = space.expressed(genomes)
    for gene in range(space.n_genes):
        values = genomes[expressed[:, gene], gene]
        if len(values):
            drawn[:, gene] = in_turn(values[:, None], n, rng)[:, 0]
    return space.canonical(drawn)
