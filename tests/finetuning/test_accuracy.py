from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from nas.dataset.base import Images
from nas.dataset.batches import Batches
from nas.finetuning.accuracy import measure


class FirstPixel(nn.Module):
    """Answers with the class that the first pixel names, the next one second, and so on."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        named = (images[:, 0, 0, 0] * 255).round()
        return -((torch.arange(10) - named[:, None]) % 10).float()


def test_accuracies_and_loss():
    labels = np.arange(10).repeat(2)
    offsets = np.array([0, 1, 5, 4, 0, 0, 6, 9, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    pixels = np.zeros((20, 3, 2, 2), np.uint8)
    pixels[:, 0, 0, 0] = (labels - offsets) % 10
    images = Batches(
        images=Images(pixels, labels),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        device="cpu",
        crop=1.0,
        cache_bytes=2**20,
    )
    found = measure(FirstPixel(), images, 2, 7, nullcontext)
    assert found.top1 == pytest.approx(100 * (offsets == 0).mean())
    assert found.top5 == pytest.approx(100 * (offsets < 5).mean())
    logits = -((torch.arange(10) - torch.from_numpy(labels - offsets)[:, None]) % 10).float()
    assert found.loss == pytest.approx(float(cross_entropy(logits, torch.from_numpy(labels))), rel=1e-6)
