"""Accuracy and loss: how they are counted, and when two accuracies are the same but for rounding.

Sums round differently on another processor or device, with another number of threads or version of torch, and an image
between two classes is then answered otherwise. So accuracies are compared in whole images, with a margin for rounding.
Whether weights, data and settings are the very same is told by their digests, never by what is measured.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nas.dataset.batches import Batches
from nas.errors import RunError
from nas.types import PositiveInt

TOP_K = 5
"""Classes among which the right one must be for top-5."""

SHARE = 0.01
"""Share of the images of a split that rounding may change the answers of."""

FEWEST = 3
"""Images that it may change in any case."""


@dataclass(frozen=True)
class Metrics:
    """What a network achieves on a split.

    Attributes:
        loss: mean cross-entropy with the labels, nats.
        top1, top5: percent of the images; with fewer than five classes ``top5`` counts all of them.
    """

    loss: float
    top1: float
    top5: float


@final
class MetricSums:
    """What :class:`Metrics` are means of, summed up batch by batch on the device, without waiting for it."""

    def __init__(self, device: torch.device) -> None:
        """Begin with no images."""
        self._right = torch.zeros(2, dtype=torch.int64, device=device)
        self._loss = torch.zeros((), dtype=torch.float64, device=device)
        self._images = 0

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Add the logits, (n, c), of images and their labels, (n,)."""
        place = ranks(logits, labels)
        self._right += torch.stack([(place == 0).sum(), (place < TOP_K).sum()])
        self._loss += cross_entropy(logits, labels, reduction="sum")
        self._images += len(labels)

    def metrics(self) -> Metrics:
        """Return the means over all images so far."""
        first, among = self._right.tolist()
        n = self._images
        return Metrics(loss=float(self._loss) / n, top1=100 * first / n, top5=100 * among / n)


def ranks(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the place of the right class among all classes, from 0: in an image of equal logits the first class leads.

    Args:
        logits: logits, shape (n, c); a right class whose logit is not a number has the place c or a later one.
        labels: class indices, shape (n,), on the same device.

    Returns:
        Whole numbers, shape (n,): top-1 counts those that are 0, top-5 those below 5.
    """
    own = logits.gather(1, labels[:, None])
    earlier = torch.arange(logits.shape[1], device=logits.device) < labels[:, None]
    return (~(logits <= own)).sum(dim=1) + ((logits == own) & earlier).sum(dim=1)


@torch.no_grad()
def measure(
    network: nn.Module,
    images: Batches,
    resolution: int,
    batch_size: int,
    precision: Callable[[], AbstractContextManager[object]],
) -> Metrics:
    """Return what a network in eval mode achieves.

    Args:
        network: normalised images, (n, 3, resolution, resolution), to logits, (n, c).
        images: of the split.
        resolution: side of the network's input in pixels.
        batch_size: images at once.
        precision: the context that it computes in.
    """
    sums: MetricSums | None = None
    for batch, labels in images.sequential(resolution, batch_size):
        with precision():
            logits = network(batch)
        sums = sums or MetricSums(logits.device)
        sums.add(logits.float(), labels)
    assert sums is not None
    return sums.metrics()


def top1_of(logits: Tensor, labels: Tensor) -> float:
    """Return the top-1 accuracy in percent of logits, (n, c)."""
    return 100 * int((ranks(logits, labels) == 0).sum()) / len(labels)


def margin(n_images: PositiveInt) -> int:
    """Return how many images of n may be answered otherwise by rounding."""
    return max(FEWEST, math.ceil(SHARE * n_images))


def compare(top1: float, before: float, n_images: PositiveInt, reason: str) -> str | None:
    """Compare an accuracy with the same one as it was measured before, in whole images.

    Args:
        top1: accuracy as it is measured now, percent.
        before: accuracy in the run, percent.
        n_images: number of images of the split.
        reason: explanation of a difference that is more than rounding, for the message.

    Returns:
        What to warn about where they differ by no more than the margin; ``None`` where they are the same.

    Raises:
        RunError: if they differ by more.
    """
    apart, most = abs(round(top1 * n_images / 100) - round(before * n_images / 100)), margin(n_images)
    if apart == 0:
        return None
    said = f"its accuracy is {top1:.2f} %, in its run it was {before:.2f} % ({apart:,} of {n_images:,} images"
    if apart > most:
        raise RunError(f"{said}, rounding explains up to {most:,}): {reason}")
    return f"{said}, as rounding on another processor or device may change)"
