import torch
from torch import nn

from nas.evaluator.recalibration import recalibrate


def test_statistics_are_the_average_over_batches() -> None:
    norm = nn.BatchNorm2d(3)
    norm.running_mean = torch.full((3,), 50.0)
    batches = [torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(i)) * (i + 1) for i in range(3)]
    recalibrate(nn.Sequential(norm), batches)
    means = torch.stack([batch.mean((0, 2, 3)) for batch in batches]).mean(0)
    variances = torch.stack([batch.var((0, 2, 3)) for batch in batches]).mean(0)
    torch.testing.assert_close(norm.running_mean, means)
    torch.testing.assert_close(norm.running_var, variances)


def test_only_batch_norm_is_in_training_mode() -> None:
    dropout, norm = nn.Dropout(0.5), nn.BatchNorm2d(1)
    network = nn.Sequential(dropout, norm).train()
    recalibrate(network, [torch.ones(4, 1, 2, 2)])
    assert norm.running_mean is not None
    assert norm.running_mean.item() == 1.0
    assert norm.momentum == 0.1
    assert not any(module.training for module in network.modules())
