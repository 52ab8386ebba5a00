"""Networks of AttentiveNAS and AlphaNet layer by layer, and their tensors, as their authors' static model has them."""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from nas.model.net_config import kind_of
from nas.model.small_config import small_config
from nas.supernet.attentivenas_network import BN_EPS, BN_MOMENTUM, AttentiveNetwork, ResidualBottleneck
from nas.supernet.mobile import MobileNetwork

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


RENAMED = ("MobileNetV3", "ProxylessNASNets")
"""Networks of whose blocks the original tool says ``mobile_inverted_conv`` where newer versions of OFA say ``conv``."""


def net_config(network: nn.Module, described: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the content of a ``net.config``; ``None`` for networks that the original tools do not describe so.

    The resolution stands there under both names that the original tools read, ``resolution`` and ``img_size``.

    Args:
        network: of the model.
        described: ``model.json``.
    """
    sides = {"resolution": described["resolution"], "img_size": described["resolution"]}
    if "net_config" in described:
        return dict(described["net_config"]) | sides
    if isinstance(network, MobileNetwork):
        return small_config(network) | sides
    if isinstance(network, AttentiveNetwork):
        return attentive_config(network, described["resolution"]) | sides
    config = getattr(network, "config", None)
    if not isinstance(config, dict) or "blocks" not in config:
        return None
    if config["name"] in RENAMED:
        config = config | {"blocks": [_older(block) for block in config["blocks"]]}
    return config | sides


def published_state(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return tensors under the names that the original tool reads with this ``net.config``."""
    if config["name"] == STATIC:
        return attentive_state(state)
    if kind_of(config) not in RENAMED:
        return dict(state)
    return {_older_name(key): value for key, value in state.items()}


def _older(block: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": "MobileInvertedResidualBlock",
        "mobile_inverted_conv": block["conv"],
        "shortcut": block["shortcut"],
    }


def _older_name(key: str) -> str:
    parts = key.split(".")
    if parts[0] == "blocks" and len(parts) > 2 and parts[2] == "conv":
        parts[2] = "mobile_inverted_conv"
    return ".".join(parts)


STAND_INS: dict[str, tuple[str, type[nn.Module], type[nn.Module]]] = {
    "mish": ("tanh", nn.Tanh, nn.Mish),
    "swish": ("sigmoid", nn.Sigmoid, nn.SiLU),
}
"""By name: an activation that no published network uses, the module that the package makes of it, and the real one."""


def with_stand_ins(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a ``net.config`` that the package can build; :func:`replace_stand_ins` makes it right again."""
    whole = copy.deepcopy(dict(config))
    for layer in _layers(whole):
        if layer["act_func"] in STAND_INS:
            layer["act_func"] = STAND_INS[layer["act_func"]][0]
    return whole


def replace_stand_ins(network: nn.Module, config: Mapping[str, Any]) -> None:
    """Put the activations of a ``net.config`` into the network that was built with others in their place."""
    used = {layer["act_func"] for layer in _layers(config)} & STAND_INS.keys()
    real = {STAND_INS[name][1]: STAND_INS[name][2] for name in used}
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) in real:
                setattr(module, name, real[type(child)]())


def _layers(node: Any) -> Iterator[Any]:
    """Yield the parts of a description, at any depth, that have an activation."""
    if isinstance(node, dict):
        if isinstance(node.get("act_func"), str):
            yield node
        for value in node.values():
            yield from _layers(value)
    elif isinstance(node, list):
        for value in node:
            yield from _layers(value)
