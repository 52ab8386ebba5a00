"""Networks of ``supernet=tiny`` layer by layer, in the words of OFA's ``net.config`` files."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nas.errors import UserError
from nas.supernet.layout import Block, Conv, Layout
from nas.supernet.mobile import InvertedResidual, MobileNetwork, SqueezeExcite

SMALL = MobileNetwork.__name__
"""What these networks call themselves under ``name``."""

_SIZES = ("in_channels", "out_channels", "kernel_size", "stride")


def small_config(network: MobileNetwork) -> dict[str, Any]:
    """Return the description of a network, from which :func:`small_network` builds it again."""
    blocks = [_described(block) for block in _blocks(network)]
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


def small_network(config: Mapping[str, Any], source: Path, dropout: float) -> nn.Module:
    """Build a network in eval mode, its weights random.

    Args:
        config: see :func:`small_config`.
        source: the file that it is from, for messages.
        dropout: probability that a feature is zeroed in training.

    Raises:
        UserError: if it is not described as :func:`small_config` does it.
    """
    try:
        blocks = [_block(block["mobile_inverted_conv"]) for block in config["blocks"]]
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


def _blocks(network: MobileNetwork) -> Iterator[InvertedResidual]:
    return (module for module in network.modules() if isinstance(module, InvertedResidual))


def _described(block: InvertedResidual) -> dict[str, Any]:
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


def _block(config: Mapping[str, Any]) -> Block:
    return Block(
        inputs=int(config["in_channels"]),
        hidden=int(config["mid_channels"]),
        outputs=int(config["out_channels"]),
        kernel=int(config["kernel_size"]),
        stride=int(config["stride"]),
        squeeze=int(config["se_channels"]),
        hard_swish=config["act_func"] == "h_swish",
    )


def _first(part: nn.Module) -> nn.Conv2d:
    return next(module for module in part.modules() if isinstance(module, nn.Conv2d))


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
