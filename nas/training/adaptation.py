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
from nas.seeding import rng_for
from nas.space.base import SearchSpace
from nas.supernet.base import Supernet
from nas.supernet.precision import gradient_scaler, mixed
from nas.team import Team
from nas.types import Architecture, Floats, Genomes


@dataclass(frozen=True, kw_only=True)
class Descent:
    """The settings of the descent.

    Attributes:
        batch_size: images a step, of all processes together.
        momentum: Nesterov's.
        weight_decay: of all parameters.
        label_smoothing: share of the label that is spread over all classes.
        distillation: share of the loss that is the cross-entropy with the largest architecture's probabilities.
        ema: decay of the exponential moving average of the weights; ``None`` for no average.
        amp: mixed precision, where there is a GPU.
        seed: of images, augmentation and dropout.
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
        self, *, supernet: Supernet, dataset: Dataset, device: torch.device, team: Team, descent: Descent
    ) -> None:
        """Prepare the optimizer; the supernet moves to the device.

        Args:
            supernet: what is trained.
            dataset: its training split.
            device: of this process.
            team: this process's.
            descent: the settings.
        """
        self._supernet = supernet
        self._device = device
        self._team = team
        self._descent = descent
        self.batches = TrainingBatches(
            dataset=dataset, batch_size=descent.batch_size, seed=descent.seed, device=device, team=team
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
            momentum=descent.momentum,
            nesterov=descent.momentum > 0,
            weight_decay=descent.weight_decay,
        )
        self._scaler = gradient_scaler(device, descent.amp)
        self._average: dict[str, Tensor] = {}
        self._trained: dict[str, Tensor] = {}  # the weights themselves, while the supernet shows their average

    def state(self) -> dict[str, Any]:
        """Return a copy, in host memory, of everything that the training goes on from."""
        state = {
            "weights": self._trained or dict(self._module.state_dict()),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "moving": [i for i, parameter in enumerate(self._parameters) if parameter.grad is not None],
            "ema": self._average,
        }
        copy: dict[str, Any] = copied(state)
        return copy

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned, possibly in another process."""
        self._trained = {}
        self._module.load_state_dict(state["weights"])
        self._optimizer.load_state_dict(copied(state["optimizer"]))  # which keeps the tensors that it is given
        moving = set(state["moving"])
        for i, parameter in enumerate(self._parameters):  # what has moved goes on, also where it is not trained next
            parameter.grad = torch.zeros_like(parameter) if i in moving else None
        self._scaler.load_state_dict(state["scaler"])
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
        if self._descent.ema is not None and not self._average:
            self._average = {
                n: t.detach().clone() for n, t in self._module.state_dict().items() if t.is_floating_point()
            }
        architectures = [self._supernet.space.decode(genome) for genome in genomes]
        sides = [architecture.config["r"] for architecture in architectures]
        self._module.train()
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices), self._team.synchronised():
            torch.manual_seed(int(rng_for(self._descent.seed, number, f"dropout {self._team.rank}").integers(2**63)))
            batches = self.batches.epoch(number, sides)
            for (images, targets), architecture, rate in zip(batches, architectures, rates.tolist(), strict=True):
                self._step(images, targets, architecture, rate)
        self._module.eval()

    def _step(self, images: Tensor, targets: Tensor, architecture: Architecture, rate: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        # Zeros, not none, as published: layers that the architecture lacks go on with momentum and decay.
        self._optimizer.zero_grad(set_to_none=False)
        with mixed(self._device, self._descent.amp):
            loss = self._loss(images, targets, architecture)
        torch.autograd.backward(self._scaler.scale(loss * self._share(len(images))))
        self._team.sum_gradients(self._parameters)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self._average:
            current = self._module.state_dict()
            ours = list(self._average.values())
            torch._foreach_lerp_(ours, [current[name] for name in self._average], 1 - (self._descent.ema or 0.0))

    def _share(self, n: int) -> float:
        """Return this process's share of a batch, of which it has ``n`` images."""
        if self._team.size == 1:
            return 1.0
        return n / min(self._descent.batch_size, self.batches.n_images)

    def _loss(self, images: Tensor, targets: Tensor, architecture: Architecture) -> Tensor:
        logits = self._supernet.forward(images, architecture).float()
        loss = cross_entropy(logits, targets, label_smoothing=self._descent.label_smoothing)
        if self._descent.distillation == 0:
            return loss
        space = self._supernet.space
        with torch.no_grad():
            teacher = softmax(self._supernet.forward(images, space.decode(space.largest)).float(), dim=1)
        return torch.lerp(loss, cross_entropy(logits, teacher), self._descent.distillation)


@dataclass(frozen=True)
class Copies:
    """What other processes train, built anew there.

    Attributes:
        replica: builds data set and supernet for a device.
        descent: the settings.
    """

    replica: Callable[[str], tuple[Dataset, Supernet]]
    descent: Descent

    def __call__(self, device: str) -> Callable[..., Adaptation]:
        """Return what becomes a part of the training when it joins a team."""
        dataset, supernet = self.replica(device)
        return partial(Adaptation, supernet=supernet, dataset=dataset, descent=self.descent)


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


def copied(value: Any) -> Any:
    """Return nested dictionaries and lists with copies, in host memory, of their tensors."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else value
