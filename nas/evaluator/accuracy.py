"""Accuracy and loss on a split, and comparison of accuracies up to rounding.

Floating-point sums round differently on another processor or device, with another number of threads, or with another
version of torch. The prediction for an image between two classes can then change. Accuracies are therefore compared in
whole images, with a margin for rounding. Whether weights, data and settings are identical is decided by their digests,
never by measured values.
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
"""Number of top-ranked classes that must include the correct one for top-5 accuracy."""

SHARE = 0.01
"""Fraction of a split's images whose predictions rounding may change."""

FEWEST = 3
"""Minimum margin, in images, for splits of any size."""


@dataclass(frozen=True)
class Metrics:
    """Loss and accuracy of a network on one split.

    Attributes:
        loss: Mean cross-entropy, in nats.
        top1, top5: Accuracy in percent of the images. With fewer than five classes, ``top5`` counts all images.
    """

    loss: float
    top1: float
    top5: float


@final
class MetricSums:
    """Running sums over batches from which :class:`Metrics` are computed.

    The sums stay on the device, so that adding a batch does not wait for the device.

    Example:
        >>> import torch
        >>> from nas.evaluator.accuracy import MetricSums
        >>> sums = MetricSums(torch.device("cpu"))
        >>> sums.add(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
        >>> sums.metrics().top1
        50.0
    """

    def __init__(self, device: torch.device) -> None:
        """Start with no images.

        Args:
            device: Torch device of the logits and the sums.
        """
        self._right = torch.zeros(2, dtype=torch.int64, device=device)
        self._loss = torch.zeros((), dtype=torch.float64, device=device)
        self._images = 0

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch of logits, shape (n, c), and labels, shape (n,)."""
        place = ranks(logits, labels)
        self._right += torch.stack([(place == 0).sum(), (place < TOP_K).sum()])
        self._loss += cross_entropy(logits, labels, reduction="sum")
        self._images += len(labels)

    def metrics(self) -> Metrics:
        """Return the means over all images added so far."""
        first, among = self._right.tolist()
        n = self._images
        return Metrics(loss=float(self._loss) / n, top1=100 * first / n, top5=100 * among / n)


def ranks(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the rank of the correct class among all classes, starting at 0.

    Among equal logits, the class with the lowest index ranks first.

    Args:
        logits: Logits, shape (n, c). If the correct class's logit is NaN, its rank is c or higher.
        labels: Class indices, shape (n,), on the same device.

    Returns:
        Ranks, shape (n,). An image counts for top-1 accuracy if its rank is 0, for top-5 if it is below 5.

    Example:
        >>> import torch
        >>> from nas.evaluator.accuracy import ranks
        >>> ranks(torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0]]), torch.tensor([2, 1])).tolist()
        [1, 1]
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
    """Return loss and accuracy of a network in eval mode on a split.

    Args:
        network: Network in eval mode; maps normalized images, (n, 3, resolution, resolution), to logits, (n, c).
        images: Batches of the split.
        resolution: Side of the network's input, in pixels.
        batch_size: Number of images per batch.
        precision: Function that returns the precision context of the forward pass.
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
    """Return the top-1 accuracy of logits, in percent.

    Args:
        logits: Logits, shape (n, c).
        labels: Class indices, shape (n,).
    """
    return 100 * int((ranks(logits, labels) == 0).sum()) / len(labels)


def margin(n_images: PositiveInt) -> int:
    """Return the largest number of images whose predictions rounding may change.

    Args:
        n_images: Number of images in the split.

    Example:
        >>> from nas.evaluator.accuracy import margin
        >>> margin(100), margin(10_000)
        (3, 100)
    """
    return max(FEWEST, math.ceil(SHARE * n_images))


def compare(top1: float, before: float, n_images: PositiveInt, reason: str) -> str | None:
    """Compare an accuracy with an earlier measurement of the same network, in whole images.

    Args:
        top1: New accuracy, in percent.
        before: Accuracy measured in the run, in percent.
        n_images: Number of images in the split.
        reason: Explanation for the error message if the difference exceeds rounding.

    Returns:
        Text of a warning if the accuracies differ within the margin; ``None`` if they are equal.

    Raises:
        RunError: If the accuracies differ by more than the margin.

    Example:
        >>> from nas.evaluator.accuracy import compare
        >>> compare(90.0, 90.0, 1000, "the weights have changed") is None
        True
    """
    apart, most = abs(round(top1 * n_images / 100) - round(before * n_images / 100)), margin(n_images)
    if apart == 0:
        return None
    said = f"its accuracy is {top1:.2f} %, in its run it was {before:.2f} % ({apart:,} of {n_images:,} images"
    if apart > most:
        raise RunError(f"{said}, rounding explains up to {most:,}): {reason}")
    return f"{said}, as rounding on another processor or device may change)"
