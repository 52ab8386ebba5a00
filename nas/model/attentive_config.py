"""Networks of AttentiveNAS and AlphaNet layer by layer, and their tensors, as their authors' static model has them."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from nas.supernet.attentivenas_network import BN_EPS, BN_MOMENTUM, AttentiveNetwork, ResidualBottleneck

STATIC = "AttentiveNasStaticModel"
"""What the static model calls itself under ``name``."""

_REPEATED = re.compile(r"\.(conv|bn|linear)\.\1\.")
_BLOCK = re.compile(r"^blocks\.(\d+)\.")


def attentive_config(network: AttentiveNetwork, resolution: int) -> dict[str, Any]:
    """Return the ``net.config`` of a network; the last convolutions, which follow from the rest, are not in it."""
    stem, classifier = _convs(network.first_conv)[0], _linear(network.classifier)
    return {
        "name": STATIC,
        "bn": {"momentum": BN_MOMENTUM, "eps": BN_EPS},
        "first_conv": {
            "name": "ConvBnActLayer",
            **_channels(stem),
            "kernel_size": stem.kernel_size[0],
            "stride": stem.stride[0],
            "dilation": 1,
            "groups": 1,
            "bias": False,
            "use_bn": True,
            "act_func": "swish",
        },
        "blocks": [_block(block) for block in network.blocks.values() if isinstance(block, ResidualBottleneck)],
        "classifier": {
            "name": "LinearLayer",
            "in_features": classifier.in_features,
            "out_features": classifier.out_features,
            "bias": True,
        },
        "resolution": resolution,
    }


def attentive_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a network's tensors under the static model's names: blocks counted without gaps, layers not nested."""
    places = sorted({int(found[1]) for key in state if (found := _BLOCK.match(key))})
    renamed = {}
    for key, value in state.items():
        counted = _BLOCK.sub(lambda match: f"blocks.{places.index(int(match[1]))}.", key)
        renamed[_REPEATED.sub(r".\1.", counted)] = value
    return renamed


def own_state(state: Mapping[str, Tensor], network: AttentiveNetwork) -> dict[str, Tensor]:
    """Return tensors that have the static model's names under the network's own; others keep theirs."""
    names = {name: own for own, name in zip(network.state_dict(), attentive_state(network.state_dict()), strict=True)}
    return {names.get(key, key): value for key, value in state.items()}


def _block(block: ResidualBottleneck) -> dict[str, Any]:
    parts = dict(block.mobile_inverted_conv.named_children())
    depthwise = _convs(parts["depth_conv"])[0]
    inputs, outputs = block.shortcut.conv.get_submodule("conv"), _convs(parts["point_linear"])[0]
    assert isinstance(inputs, nn.Conv2d)
    expands = "inverted_bottleneck" in parts
    return {
        "name": "MobileInvertedResidualBlock",
        "mobile_inverted_conv": {
            "name": "MBInvertedConvLayer",
            "in_channels": inputs.in_channels,
            "out_channels": outputs.out_channels,
            "kernel_size": depthwise.kernel_size[0],
            "stride": depthwise.stride[0],
            "expand_ratio": round(depthwise.out_channels / inputs.in_channels) if expands else 1,
            "mid_channels": depthwise.out_channels,
            "act_func": "swish",
            "use_se": "se" in dict(parts["depth_conv"].named_children()),
            "channels_per_group": 1,
        },
        "shortcut": {"name": "ShortcutLayer", **_channels(inputs), "reduction": depthwise.stride[0]},
    }


def _channels(conv: nn.Conv2d) -> dict[str, int]:
    return {"in_channels": conv.in_channels, "out_channels": conv.out_channels}


def _convs(part: nn.Module) -> list[nn.Conv2d]:
    return [module for module in part.modules() if isinstance(module, nn.Conv2d)]


def _linear(part: nn.Module) -> nn.Linear:
    return next(module for module in part.modules() if isinstance(module, nn.Linear))
