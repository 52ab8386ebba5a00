"""Top-1 accuracy: how it is counted, and when two measurements of it are the same but for rounding.

Sums round differently on another processor or device, with another number of threads or version of torch, and an image
between two classes is then answered otherwise. So accuracies are compared in whole images, with a margin for rounding.
Whether weights, data and settings are the very same is told by their digests, never by what is measured.
"""

import math

import torch
from torch import Tensor

from nas.errors import RunError
from nas.types import PositiveInt

SHARE = 0.01
"""Share of the images of a split that rounding may change the answers of."""

FEWEST = 3
"""Images that it may change in any case."""


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
