"""Stochastic gradient descent on a supernet: one architecture and one resolution a step."""

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
    """The settings of a supernet's training.

    Attributes:
        batch_size: Images a step, of all processes together.
        momentum: Nesterov momentum.
        weight_decay: Weight decay of all parameters.
        label_smoothing: Share of the label that is spread over all classes.
        distillation: Share of the loss that is the cross-entropy with the largest architecture's probabilities.
        ema: Decay of the exponential moving average of the weights; ``None`` for no average.
        amp: Whether to use mixed precision on a GPU.
        seed: Seed of images, augmentation and dropout.
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
    """One process's part in training a supernet."""

    def __init__(
        self, *, supernet: Supernet, dataset: Dataset, device: torch.device, team: Team, settings: AdaptationSettings
    ) -> None:
        """Prepare the optimizer; the supernet moves to the device.

        Args:
            supernet: Supernet to train.
            dataset: Its training split.
            device: Torch device of this process.
            team: This process's.
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
        for parameter in self._parameters:  # what trained the supernet before may have left gradients
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
        self._trained: dict[str, Tensor] = {}  # the weights themselves, while the supernet shows their average

    def state(self) -> dict[str, Any]:
        """Return a copy, in host memory, of everything that the training goes on from."""
        state = {
            "weights": self._trained or dict(self._module.state_dict()),
            **self._descent.state(),
            "moving": [i for i, parameter in enumerate(self._parameters) if parameter.grad is not None],
            "ema": self._average,
        }
        copy: dict[str, Any] = copied(state)
        return copy

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned, possibly in another process."""
        self._trained = {}
        self._module.load_state_dict(state["weights"])
        self._descent.load(state)
        moving = set(state["moving"])
        for i, parameter in enumerate(self._parameters):  # what has moved goes on, also where it is not trained next
            parameter.grad = torch.zeros_like(parameter) if i in moving else None
        self._average = {n: tensor.to(self._device, copy=True) for n, tensor in state["ema"].items()}

    def show_average(self) -> None:
        """Give the supernet the moving average of its weights, where there is one, until it is trained again."""
        if self._average and not self._trained:
            self._trained = {name: tensor.detach().clone() for name, tensor in self._module.state_dict().items()}
            self._module.load_state_dict(self._average, strict=False)

    def train_epoch(self, number: int, genomes: Genomes, rates: Floats) -> None:
        """Take one step for each genome, (s, d), with its learning rate, (s,), on the images of an epoch.

        All processes of a team call this with the same arguments, starting from the same state.
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
        # Zeros, not none, as published: layers that the architecture lacks go on with momentum and decay.
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
    """What other processes train, built anew there.

    Attributes:
        replica: Builds data set and supernet for a device.
        settings: Settings of the training.
    """

    replica: Callable[[str], tuple[Dataset, Supernet]]
    settings: AdaptationSettings

    def __call__(self, device: str) -> Callable[..., Adaptation]:
        """Return what becomes a part of the training when it joins a team."""
        dataset, supernet = self.replica(device)
        return partial(Adaptation, supernet=supernet, dataset=dataset, settings=self.settings)


def in_turn(genomes: Genomes, n: int, rng: np.random.Generator) -> Genomes:
    """Return ``n`` of the genomes, (k, d) -> (n, d): all of them in random order, again and again."""
    rounds = [rng.permutation(len(genomes)) for _ in range(-(-n // len(genomes)))]
    return genomes[np.concatenate(rounds)[:n]]


def from_distribution(space: SearchSpace, genomes: Genomes, n: int, rng: np.random.Generator) -> Genomes:
    """Return ``n`` genomes whose every gene is drawn from the values that the given ones have, (k, d) -> (n, d).

    Genes are drawn independently (NAT, Lu et al. 2021, section 3.2); only those that express a gene count. Each value
    comes as often as its share says, rounded: a width that half the genomes have gets half the steps.
    """
    drawn = np.tile(space.lower, (n, 1))
    expressed = space.expressed(genomes)
    for gene in range(space.n_genes):
        values = genomes[expressed[:, gene], gene]
        if len(values):
            drawn[:, gene] = in_turn(values[:, None], n, rng)[:, 0]
    return space.canonical(drawn)
