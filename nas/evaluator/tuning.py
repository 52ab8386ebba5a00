"""Training of one subnet before it is measured, for data that the supernet was not trained on."""

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

    What comes out depends on the network alone: images, their changes and dropout are the same for all.

    Attributes:
        epochs: passes over the training images.
        batch_size: images a step.
        lr: highest learning rate; it falls as a cosine, step by step, to 0.
        momentum: Nesterov's.
        weight_decay: of all parameters.
        label_smoothing: share of the label that is spread over all classes.
        seed: of images, augmentation and dropout.
    """

    epochs: PositiveInt
    batch_size: PositiveInt
    lr: PositiveFloat
    momentum: Probability
    weight_decay: NonNegativeFloat
    label_smoothing: Probability
    seed: NonNegativeInt

    def tune(self, network: nn.Module, dataset: Dataset, resolution: int, *, device: torch.device, amp: bool) -> None:
        """Train a network in place, and leave it in eval mode.

        Args:
            network: normalised images, (b, 3, resolution, resolution), to logits, (b, n_classes); on the device.
            dataset: its training split is used, with its augmentation.
            resolution: side of the images, in pixels.
            device: where the network is.
            amp: mixed precision, where there is a GPU.
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
        """Return the learning rate after this share of all steps."""
        return self.lr * (1 + math.cos(math.pi * share)) / 2
