"""How good a network is on a split."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from nas.dataset.batches import Batches
from nas.evaluator.accuracy import ranks

TOP_K = 5


@dataclass(frozen=True)
class Accuracy:
    """What a network achieves.

    Attributes:
        loss: mean cross-entropy with the labels, nats.
        top1, top5: percent of the images; with fewer than five classes ``top5`` counts all of them.
    """

    loss: float
    top1: float
    top5: float


@torch.no_grad()
def measure(
    network: nn.Module,
    images: Batches,
    resolution: int,
    batch_size: int,
    precision: Callable[[], AbstractContextManager[object]],
) -> Accuracy:
    """Return the accuracy of a network in eval mode.

    Args:
        network: normalised images, (n, 3, resolution, resolution), to logits, (n, c).
        images: of the split.
        resolution: side of the network's input in pixels.
        batch_size: images at once.
        precision: the context that it computes in.
    """
    loss, first, among = 0.0, 0, 0
    for batch, labels in images.sequential(resolution, batch_size):
        with precision():
            logits = network(batch)
        logits = logits.float()
        place = ranks(logits, labels)
        loss += float(cross_entropy(logits, labels, reduction="sum").double())
        first += int((place == 0).sum())
        among += int((place < TOP_K).sum())
    n = len(images)
    return Accuracy(loss=loss / n, top1=100 * first / n, top5=100 * among / n)
