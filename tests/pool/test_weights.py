import torch
from torch import nn

from nas.pool import model, weights
from nas.pool.weights import source_digest, weights_digest


def network(value: float = 1.0) -> nn.Module:
    module = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2))
    torch.nn.init.constant_(module[0].weight, value)
    return module


def test_equal_weights_have_equal_hashes():
    assert weights_digest(network()) == weights_digest(network().to(memory_format=torch.channels_last))


def test_every_tensor_counts():
    digests = {
        weights_digest(network()),
        weights_digest(network(2.0)),
        weights_digest(nn.Sequential(*network(), nn.ReLU())),
    }
    assert len(digests) == 2  # a layer without weights has none to count
    changed = network()
    changed[1].running_mean += 1
    assert weights_digest(changed) not in digests


def test_source_counts():
    assert source_digest(model) == source_digest(model) != source_digest(weights)
