import pytest
import torch
from torch import nn

from nas.dataset.base import Augmentation
from nas.evaluator.recalibration import Augmented, recalibrate
from tests.small import Bars


def test_statistics_are_the_average_over_batches() -> None:
    norm = nn.BatchNorm2d(3)
    norm.running_mean = torch.full((3,), 50.0)
    batches = [torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(i)) * (i + 1) for i in range(3)]
    recalibrate([nn.Sequential(norm)], batches)
    means = torch.stack([batch.mean((0, 2, 3)) for batch in batches]).mean(0)
    variances = torch.stack([batch.var((0, 2, 3)) for batch in batches]).mean(0)
    torch.testing.assert_close(norm.running_mean, means)
    torch.testing.assert_close(norm.running_var, variances)


def test_only_batch_norm_is_in_training_mode() -> None:
    dropout, norm = nn.Dropout(0.5), nn.BatchNorm2d(1)
    network = nn.Sequential(dropout, norm).train()
    recalibrate([network], [torch.ones(4, 1, 2, 2)])
    assert norm.running_mean is not None
    assert norm.running_mean.item() == 1.0
    assert norm.momentum == 0.1
    assert not any(module.training for module in network.modules())


@pytest.mark.parametrize(("cache_bytes", "cached"), [(2**20, True), (0, False)])
def test_augmented_images_are_those_of_a_training_and_always_the_same(cache_bytes: int, cached: bool) -> None:
    dataset = Bars(augmentation=Augmentation(shift=0.2, flip=True, cutout=0.5, crop=0.3))
    subject = Augmented(
        images=dataset.split("train"), dataset=dataset, batch_size=20, seed=0, device="cpu", cache_bytes=cache_bytes
    )
    first, other, again, same = (list(subject.at(side)) for side in (6, 9, 6, 6))
    assert [tuple(images.shape) for images in first] == [(20, 3, 6, 6)] * 2
    assert [tuple(images.shape) for images in other] == [(20, 3, 9, 9)] * 2
    assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(first, again, same, strict=True))
    assert all((a is b) == cached for a, b in zip(again, same, strict=True))
