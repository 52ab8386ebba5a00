import torch
from torch import nn

from nas.supernet.checkpoint import weights_digest


def network(value: float = 1.0) -> nn.Module:
    module = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2))
    torch.nn.init.constant_(module[0].weight, value)
    return module


def test_equal_weights_have_equal_hashes():
    assert weights_digest(network().state_dict()) == weights_digest(
        network().to(memory_format=torch.channels_last).state_dict()
    )


def test_every_tensor_counts():
    digests = {
        weights_digest(network().state_dict()),
        weights_digest(network(2.0).state_dict()),
        weights_digest(nn.Sequential(*network(), nn.ReLU()).state_dict()),
    }
    assert len(digests) == 2  # a layer without weights has none to count
    changed = network()
    changed[1].running_mean += 1
    assert weights_digest(changed.state_dict()) not in digests
