"""Training of a single subnet before it is evaluated, for data that the supernet was not trained on."""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from nas.dataset.base import Dataset
from nas.dataset.training_batches import TrainingBatches
from nas.supernet.precision import gradient_scaler, mixed
from nas.training.descent import Descent
from nas.types import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Probability


@final
@dataclass(frozen=True, kw_only=True)
class Tuning:
    """SGD with a cosine schedule, as NSGANetV2 trains each candidate on data other than ImageNet.

    The result depends on the network alone: images, augmentation and dropout are the same for all networks.

    Attributes:
        epochs: Number of passes over the training images.
        batch_size: Number of images per step.
        lr: Initial learning rate. It decays to 0 with a cosine schedule, updated each step.
        momentum: Nesterov momentum, 0 to 1.
        weight_decay: Weight decay of all parameters.
        label_smoothing: Fraction of the label that is spread over all classes, 0 to 1.
        seed: Random seed of image order, augmentation and dropout. It is independent of the run's seed, so that all
            runs measure alike.

    Example:
        >>> from nas.evaluator.tuning import Tuning
        >>> tuning = Tuning(
        ...     epochs=5, batch_size=128, lr=0.01, momentum=0.9, weight_decay=4e-5, label_smoothing=0.0, seed=0
        ... )
        >>> tuning.epochs
        5
    """

    epochs: PositiveInt
    batch_size: PositiveInt
    lr: PositiveFloat
    momentum: Probability
    weight_decay: NonNegativeFloat
    label_smoothing: Probability
    seed: NonNegativeInt

    def tune(self, network: nn.Module, dataset: Dataset, resolution: int, *, device: torch.device, amp: bool) -> None:
        """Train a network in place and leave it in eval mode.

        Args:
            network: Network on ``device``, from normalized images, (b, 3, resolution, resolution), to logits,
                (b, n_classes).
            dataset: Data set whose training split is used, with its augmentation.
            resolution: Side of the images, in pixels.
            device: Torch device of the network.
            amp: Whether to use mixed precision on a GPU.
        """
        batches = TrainingBatches(dataset=dataset, batch_size=self.batch_size, seed=self.seed, device=device)
        optimizer = torch.optim.SGD(
            network.parameters(),
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.momentum > 0,
            weight_decay=self.weight_decay,
        )
        scaler = gradient_scaler(device, amp)
        descent = Descent(optimizer, list(network.parameters()), scaler=scaler, device=device)
        sides = [resolution] * len(batches)
        network.train()
        with descent.seeded(self.seed, 0), torch.enable_grad():
            for epoch in range(self.epochs):
                for step, (images, targets) in enumerate(batches.epoch(epoch, sides)):
                    optimizer.param_groups[0]["lr"] = self._lr((epoch + step / len(batches)) / self.epochs)
                    optimizer.zero_grad()
                    with mixed(device, amp):
                        logits = network(images)
                    loss = cross_entropy(logits.float(), targets, label_smoothing=self.label_smoothing)
                    descent.step(loss)
        network.eval()

    def _lr(self, share: float) -> float:
        """Return the learning rate after a fraction of all steps."""
        return self.lr * (1 + math.cos(math.pi * share)) / 2
