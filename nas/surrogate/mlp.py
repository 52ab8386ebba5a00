"""Multilayer perceptron surrogate."""

from itertools import pairwise
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nas.surrogate.base import Surrogate
from nas.types import Floats, Genomes, NonNegativeInt, PositiveFloat, PositiveInt, Probability


@final
class MLP(Surrogate):
    """Multilayer perceptron: four linear layers with ReLU between them (NSGANetV2, section 3.2).

    As in the published code, Adam minimizes the smooth L1 loss with a cosine learning rate schedule, and there is
    dropout before the last layer. Each epoch is one step on all training points. A random share of the points is held
    out; the result is the weights of the epoch with the lowest loss on these points. Unlike in the published code,
    genes and values are standardized. All random numbers come from ``seed``.

    Example:
        >>> from nas.surrogate.mlp import MLP
        >>> surrogate = MLP(epochs=100, device="cpu")
        >>> surrogate.name, surrogate.minimum_points(n_genes=10)
        ('mlp', 4)
    """

    name = "mlp"

    def __init__(
        self,
        *,
        hidden: PositiveInt = 300,
        dropout: Probability = 0.2,
        learning_rate: PositiveFloat = 0.0008,
        epochs: PositiveInt = 300,
        held_out: Probability = 0.2,
        seed: NonNegativeInt = 0,
        device: str,
    ) -> None:
        """Set the network and its training.

        Args:
            hidden: Number of features of each of the three hidden layers (published: 300).
            dropout: Dropout probability before the last layer in training, 0 to 1 (published: 0.2).
            learning_rate: Initial learning rate, which decays to zero (published: 8e-4).
            epochs: Number of epochs, each of them one step on all training points (published: 2,000).
            held_out: Share of the points that are held out to choose the best epoch, 0 to 1 (published: 0.2).
            seed: Seed of the initial weights, the dropout and the choice of held-out points.
            device: Torch device of the computation, for example ``"cuda:0"``.
        """
        self._hidden = hidden
        self._dropout = dropout
        self._learning_rate = learning_rate
        self._epochs = epochs
        self._held_out = held_out
        self._seed = seed
        self._device = torch.device(device)

    def minimum_points(self, n_genes: int) -> int:
        """Return 4, which leaves points to train on and a point to hold out."""
        return 4

    def fit(self, genomes: Genomes, values: Floats) -> None:
        """Train on the values, (n, m), of genomes, (n, d).

        Raises:
            ValueError: If there are fewer than four different genomes.
        """
        points, means = self.different(genomes, values)
        self._middle, self._spread = points.mean(axis=0), _positive(points.std(axis=0))
        self._center, self._scale = means.mean(axis=0), _positive(means.std(axis=0))
        generator = torch.Generator(self._device).manual_seed(self._seed)
        inputs = self._tensor((points - self._middle) / self._spread)
        targets = self._tensor((means - self._center) / self._scale)
        order = torch.randperm(len(points), generator=generator, device=self._device)
        n_held_out = min(max(round(self._held_out * len(points)), 1), len(points) - 1)
        self._weights = self._train(
            inputs[order[n_held_out:]],
            targets[order[n_held_out:]],
            inputs[order[:n_held_out]],
            targets[order[:n_held_out]],
            generator,
        )

    def predict(self, genomes: Genomes) -> Floats:
        """Return predicted values, (k, d) -> (k, m)."""
        with torch.no_grad():
            inputs = self._tensor((genomes - self._middle) / self._spread)
            outputs = _forward(self._weights, inputs, None).cpu().numpy().astype(np.float64)
        predicted: Floats = outputs * self._scale + self._center
        return predicted

    def _train(
        self, inputs: Tensor, targets: Tensor, held_inputs: Tensor, held_targets: Tensor, generator: torch.Generator
    ) -> list[Tensor]:
        """Return the weights and biases of the best epoch: weight and bias of the first layer, of the second, ..."""
        weights = self._first_weights(inputs.shape[1], targets.shape[1], generator)
        optimizer = torch.optim.Adam(weights, lr=self._learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self._epochs)
        best, lowest = [weight.detach().clone() for weight in weights], float("inf")
        for _ in range(self._epochs):
            keep = torch.rand(len(inputs), self._hidden, generator=generator, device=self._device) >= self._dropout
            mask = keep / max(1 - self._dropout, 1e-9)
            optimizer.zero_grad()
            torch.autograd.backward(functional.smooth_l1_loss(_forward(weights, inputs, mask), targets))
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                loss = functional.smooth_l1_loss(_forward(weights, held_inputs, None), held_targets).item()
                if loss < lowest:
                    best, lowest = [weight.detach().clone() for weight in weights], loss
        return best

    def _first_weights(self, n_inputs: int, n_outputs: int, generator: torch.Generator) -> list[Tensor]:
        """Return uniform weights and biases within 1 / sqrt(number of inputs) of each layer, as in torch."""
        widths = (n_inputs, self._hidden, self._hidden, self._hidden, n_outputs)
        weights = []
        for before, after in pairwise(widths):
            for shape in ((after, before), (after,)):
                uniform = torch.rand(shape, generator=generator, device=self._device)
                weights.append(((2 * uniform - 1) / before**0.5).requires_grad_())
        return weights

    def _tensor(self, array: Floats) -> Tensor:
        return torch.tensor(array, dtype=torch.float32, device=self._device)


def _forward(weights: list[Tensor], inputs: Tensor, mask: Tensor | None) -> Tensor:
    features = inputs
    for weight, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        features = functional.relu(functional.linear(features, weight, bias))
    return functional.linear(features if mask is None else features * mask, weights[-2], weights[-1])


def _positive(spread: Floats) -> Floats:
    """Return the standard deviations with 1 in place of 0, for genes and values that never vary."""
    return np.where(spread > 0, spread, 1.0)
