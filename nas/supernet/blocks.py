"""The layers of extracted networks, whichever supernet they were cut out of."""

from ofa.utils.layers import ResidualBlock, ResNetBottleneckBlock
from torch import nn

from nas.supernet.attentivenas_network import ResidualBottleneck
from nas.supernet.mobile import InvertedResidual

LAYERS = (InvertedResidual, ResidualBottleneck, ResidualBlock, ResNetBottleneckBlock)
"""The modules that supernets stack in their stages."""


def layers(network: nn.Module, n: int) -> list[nn.Module]:
    """Return a network's last ``n`` layers in the order in which they run.

    Layers before those belong to what every network of the supernet starts with.
    """
    return [module for module in network.modules() if isinstance(module, LAYERS)][-n:]
