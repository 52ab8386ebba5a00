"""Networks layer by layer: into the ``net.config`` files of the original tools, and back."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas.errors import UserError
from nas.model.net_config import check_layers, kind_of
from nas.supernet.attentivenas_network import BN_EPS, BN_MOMENTUM, AttentiveNetwork, ResidualBottleneck
from nas.supernet.layout import Block, Conv, Layout
from nas.supernet.mobile import InvertedResidual, MobileNetwork, SqueezeExcite

STATIC = "AttentiveNasStaticModel"
"""What the static model of AttentiveNAS and AlphaNet calls itself under ``name``."""

SMALL = MobileNetwork.__name__
"""What networks of ``supernet=tiny`` call themselves under ``name``."""

RENAMED = ("MobileNetV3", "ProxylessNASNets")
"""Networks of whose blocks the original tool says ``mobile_inverted_conv`` where newer versions of OFA say ``conv``."""

_OFA = ("MobileNetV3", "ProxylessNASNets", "ResNets")
"""The networks of the package ``ofa``."""

_STAND_INS: dict[str, tuple[str, type[nn.Module], type[nn.Module]]] = {
    "mish": ("tanh", nn.Tanh, nn.Mish),
    "swish": ("sigmoid", nn.Sigmoid, nn.SiLU),
}
"""By name: an activation that no published network uses, the module that the package makes of it, and the real one."""

_REPEATED = re.compile(r"\.(conv|bn|linear)\.\1\.")

_BLOCK = re.compile(r"^blocks\.(\d+)\.")

_SIZES = ("in_channels", "out_channels", "kernel_size", "stride")


def net_config(network: nn.Module, described: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the content of a ``net.config``; ``None`` for networks without one in the original tools.

    The resolution has both names that the original tools read, ``resolution`` and ``img_size``.

    Args:
        network: Network of the model.
        described: ``model.json``.
    """
    sides = {"resolution": described["resolution"], "img_size": described["resolution"]}
    if "net_config" in described:
        return dict(described["net_config"]) | sides
    if isinstance(network, MobileNetwork):
        return _small_config(network) | sides
    if isinstance(network, AttentiveNetwork):
        return _attentive_config(network, described["resolution"]) | sides
    config = getattr(network, "config", None)
    if not isinstance(config, dict) or "blocks" not in config:
        return None
    if config["name"] in RENAMED:
        config = config | {"blocks": [_older(block) for block in config["blocks"]]}
    return config | sides


def network_from_config(
    config: Mapping[str, Any], source: Path, dropout: float = 0.0, drop_path: float = 0.0
) -> nn.Module:
    """Build a network in eval mode with random weights from the content of a ``net.config``.

    Args:
        config: The content.
        source: The file that this is from, for messages.
        dropout: Probability that a feature is zeroed in training.
        drop_path: See :func:`nas.model.build.network_of`.

    Raises:
        UserError: If it describes no network that can be built.
    """
    kind = kind_of(config)
    if kind not in (*_OFA, SMALL):
        raise UserError(
            f"'{source}' describes a network of '{kind}', which cannot be built; these can: {', '.join((*_OFA, SMALL))}"
        )
    check_layers(config, source)
    if kind == SMALL:
        return _small_network(config, source, dropout)
    from ofa.imagenet_classification import networks

    whole = _with_stand_ins(config)
    try:
        whole["classifier"]["dropout_rate"] = dropout
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # random weights are the same ones each time
            network: Any = getattr(networks, kind).build_from_config(whole)
    except Exception as error:  # what the package raises depends on where the damage is
        raise UserError(f"'{source}' is damaged, or no {kind}: {type(error).__name__} {error}") from error
    from nas.supernet.ofa_modules import regularize

    _replace_stand_ins(network, config)
    n = len(network.blocks)
    regularize(((i / n, block, _residual(block)) for i, block in enumerate(network.blocks)), drop_path, False)
    built: nn.Module = network.eval()
    return built


def published_state(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return tensors under the names that the original tool reads with this ``net.config``."""
    if config["name"] == STATIC:
        return attentive_state(state)
    if kind_of(config) not in RENAMED:
        return dict(state)
    return {_older_name(key): value for key, value in state.items()}


def own_state(state: Mapping[str, Tensor], network: AttentiveNetwork) -> dict[str, Tensor]:
    """Return tensors with the network's own names in place of the static model's; other names stay."""
    names = {name: own for own, name in zip(network.state_dict(), attentive_state(network.state_dict()), strict=True)}
    return {names.get(key, key): value for key, value in state.items()}


def attentive_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a network's tensors under the static model's names: blocks counted without gaps, layers not nested."""
    places = sorted({int(found[1]) for key in state if (found := _BLOCK.match(key))})
    renamed = {}
    for key, value in state.items():
        counted = _BLOCK.sub(lambda match: f"blocks.{places.index(int(match[1]))}.", key)
        renamed[_REPEATED.sub(r".\1.", counted)] = value
    return renamed


def _attentive_config(network: AttentiveNetwork, resolution: int) -> dict[str, Any]:
    """Return the ``net.config`` of a network without the last convolutions, which follow from the rest."""
    stem, classifier = _first(network.first_conv), _linear(network.classifier)
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
        "blocks": [
            _attentive_block(block) for block in network.blocks.values() if isinstance(block, ResidualBottleneck)
        ],
        "classifier": {
            "name": "LinearLayer",
            "in_features": classifier.in_features,
            "out_features": classifier.out_features,
            "bias": True,
        },
        "resolution": resolution,
    }


def _attentive_block(block: ResidualBottleneck) -> dict[str, Any]:
    parts = dict(block.mobile_inverted_conv.named_children())
    depthwise = _first(parts["depth_conv"])
    inputs, outputs = block.shortcut.conv.get_submodule("conv"), _first(parts["point_linear"])
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


def _small_config(network: MobileNetwork) -> dict[str, Any]:
    """Return the description of a network, from which :func:`_small_network` builds it again."""
    blocks = [_small_block(block) for block in _blocks(network)]
    return {
        "name": SMALL,
        "first_conv": _conv(_first(network.stem)),
        "blocks": [{"name": "MobileInvertedResidualBlock", "mobile_inverted_conv": block} for block in blocks],
        "depths": [len(list(stage.children())) for stage in network.stages],
        "feature_mix_layer": _conv(_first(network.features)),
        "classifier": {
            "name": "LinearLayer",
            "in_features": network.classifier.in_features,
            "out_features": network.classifier.out_features,
            "dropout_rate": network.dropout.p,
        },
    }


def _small_block(block: InvertedResidual) -> dict[str, Any]:
    expand, depthwise, project = (_first(part) for part in (block.expand, block.depthwise, block.project))
    squeeze = _first(block.excite.squeeze).out_channels if isinstance(block.excite, SqueezeExcite) else 0
    return {
        "name": "MBConvLayer",
        "in_channels": expand.in_channels,
        "out_channels": project.out_channels,
        "kernel_size": depthwise.kernel_size[0],
        "stride": depthwise.stride[0],
        "mid_channels": depthwise.out_channels,
        "act_func": "h_swish" if isinstance(block.expand[-1], nn.Hardswish) else "relu",
        "use_se": squeeze > 0,
        "se_channels": squeeze,
    }


def _small_network(config: Mapping[str, Any], source: Path, dropout: float) -> nn.Module:
    """Build a network in eval mode, its weights random.

    Args:
        config: See :func:`_small_config`.
        source: The file that it is from, for messages.
        dropout: Probability that a feature is zeroed in training.

    Raises:
        UserError: If it is not described as :func:`_small_config` does it.
    """
    try:
        blocks = [_block_of(block["mobile_inverted_conv"]) for block in config["blocks"]]
        stages = tuple(map(tuple, _split(blocks, config["depths"])))
        classifier = config["classifier"]
        layout = Layout(
            stem=_convolution(config["first_conv"]),
            stages=stages,
            features=_convolution(config["feature_mix_layer"]),
            classifier=Conv(int(classifier["in_features"]), int(classifier["out_features"]), norm=False),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # random weights are the same ones each time
            return MobileNetwork(layout, dropout, "cpu").eval()
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"'{source}' is damaged, or no {SMALL}: {type(error).__name__} {error}") from error


def _block_of(config: Mapping[str, Any]) -> Block:
    return Block(
        inputs=int(config["in_channels"]),
        hidden=int(config["mid_channels"]),
        outputs=int(config["out_channels"]),
        kernel=int(config["kernel_size"]),
        stride=int(config["stride"]),
        squeeze=int(config["se_channels"]),
        hard_swish=config["act_func"] == "h_swish",
    )


def _blocks(network: MobileNetwork) -> Iterator[InvertedResidual]:
    return (module for module in network.modules() if isinstance(module, InvertedResidual))


def _conv(conv: nn.Conv2d) -> dict[str, Any]:
    return {
        "name": "ConvLayer",
        "in_channels": conv.in_channels,
        "out_channels": conv.out_channels,
        "kernel_size": conv.kernel_size[0],
        "stride": conv.stride[0],
        "use_bn": True,
        "act_func": "h_swish",
    }


def _convolution(config: Mapping[str, Any]) -> Conv:
    inputs, outputs, kernel, stride = (int(config[key]) for key in _SIZES)
    return Conv(inputs, outputs, norm=True, kernel=kernel, stride=stride)


def _split(blocks: Sequence[Block], depths: Sequence[int]) -> Iterator[list[Block]]:
    if sum(depths) != len(blocks):
        raise ValueError(f"depths add up to {sum(depths)}; there are {len(blocks)} blocks")
    start = 0
    for depth in depths:
        yield list(blocks[start : start + depth])
        start += depth


def _first(part: nn.Module) -> nn.Conv2d:
    return next(module for module in part.modules() if isinstance(module, nn.Conv2d))


def _linear(part: nn.Module) -> nn.Linear:
    return next(module for module in part.modules() if isinstance(module, nn.Linear))


def _channels(conv: nn.Conv2d) -> dict[str, int]:
    return {"in_channels": conv.in_channels, "out_channels": conv.out_channels}


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


def _residual(block: Any) -> nn.Sequential | None:
    """Return the end of a block's residual; ``None`` without a shortcut."""
    if hasattr(block, "downsample"):
        return block.conv3 if type(block.downsample).__name__ == "IdentityLayer" else None
    has_both = block.shortcut is not None and hasattr(block.conv, "point_linear")  # some layers are left out
    return block.conv.point_linear if has_both else None


def _with_stand_ins(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a ``net.config`` that the ofa package can build; see :func:`_replace_stand_ins`."""
    whole = copy.deepcopy(dict(config))
    for layer in _layers(whole):
        if layer["act_func"] in _STAND_INS:
            layer["act_func"] = _STAND_INS[layer["act_func"]][0]
    return whole


def _replace_stand_ins(network: nn.Module, config: Mapping[str, Any]) -> None:
    """Replace the stand-in activations of a built network by those of its ``net.config``."""
    used = {layer["act_func"] for layer in _layers(config)} & _STAND_INS.keys()
    real = {_STAND_INS[name][1]: _STAND_INS[name][2] for name in used}
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
