from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from nas.dataset.base import Images
from nas.dataset.batches import Batches
from nas.errors import RunError
from nas.evaluator.accuracy import compare, margin, measure, ranks, top1_of


def test_ranks_are_places_among_all_classes():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(50, 7, generator=generator), torch.randint(7, (50,), generator=generator)
    order = logits.argsort(dim=1, descending=True)
    expected = [row.tolist().index(label) for row, label in zip(order, labels.tolist(), strict=True)]
    assert ranks(logits, labels).tolist() == expected
    assert top1_of(logits, labels) == 100 * expected.count(0) / 50


def test_of_equal_logits_the_first_class_leads():
    """As argmax says it, on every device; topk may say another one."""
    logits = torch.tensor([[1.0, 2, 2, 0, 2]])
    assert [int(ranks(logits, torch.tensor([label]))) for label in range(5)] == [3, 0, 1, 4, 2]
    assert int(logits.argmax(dim=1)) == 1


def test_what_is_no_number_is_no_right_answer():
    nothing = torch.full((1, 3), torch.nan)
    assert int(ranks(nothing, torch.tensor([0]))) >= 3
    assert top1_of(torch.tensor([[1.0, torch.nan]]), torch.tensor([0])) == 0


@pytest.mark.parametrize(("n", "images"), [(1, 3), (300, 3), (301, 4), (450, 5), (10_000, 100)])
def test_the_margin_is_in_whole_images(n, images):
    assert margin(n) == images


@pytest.mark.parametrize(
    ("right", "before", "said"),
    [
        (148, 148, None),
        (148, 150, "its accuracy is 32.89 %, in its run it was 33.33 % (2 of 450 images, as rounding on another"),
        (150, 145, "(5 of 450 images, as"),
    ],
)
def test_within_the_margin_it_is_rounding(right, before, said):
    found = compare(100 * right / 450, 100 * before / 450, 450, "no reason")
    assert found is None if said is None else said in str(found)


@pytest.mark.parametrize("right", [142, 154])
def test_beyond_it_is_something_else(right):
    with pytest.raises(RunError, match=r"\(6 of 450 images, rounding explains up to 5\): weights have changed"):
        compare(100 * right / 450, 100 * 148 / 450, 450, "weights have changed")


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
