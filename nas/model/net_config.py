"""Architectures from the ``net.config`` files of the original tools, which describe networks layer by layer."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from nas.errors import UserError
from nas.space.ofa_resnet50 import ABSENT, BASE_DEPTHS, STAGE_SIZES

NAMES = ("MobileNetV3", "ProxylessNASNets", "ResNets", "AttentiveNasStaticModel")
"""What the networks call themselves under ``name``; the first three are OFA's."""

ALIASES = {"NSGANetV2": "MobileNetV3", "NATNet": "MobileNetV3"}
"""What the original tools call OFA's networks where they have classes of their own for them."""

_ATTENTIVENAS_STAGES = 7

_RESNET_CHANNELS = (
    (24, 24, 32),
    (40, 48, 64),
    (168, 208, 256),
    (336, 408, 512),
    (664, 816, 1024),
    (1328, 1640, 2048),
)
"""Channels of OFA's ResNet-50 at each width: inside the stem, after it, after each stage."""

_BLOCKS = ("conv", "mobile_inverted_conv")
"""The key of a residual block's layer, as newer and older versions of the packages write it."""

_ABSENT = "ZeroLayer"
"""What a residual block's layer is called where nothing but the shortcut is left of the block."""


def is_net_config(config: Mapping[str, Any]) -> bool:
    """Return whether this describes a network layer by layer instead of by its architecture."""
    return "name" in config and "blocks" in config


def kind_of(config: Mapping[str, Any]) -> str:
    """Return the family in ``NAMES`` of a ``net.config``, or the value of ``name``."""
    name = str(config.get("name"))
    return ALIASES.get(name, name)


def resolution_of(config: Mapping[str, Any]) -> int | None:
    """Return the side of the input in a ``net.config``, under either name that the tools use."""
    side = config.get("resolution", config.get("img_size"))
    return side if isinstance(side, int) and not isinstance(side, bool) and side > 0 else None


def outputs(config: Mapping[str, Any]) -> list[int]:
    """Return the output channels of each block of a ``net.config``, without skipped blocks."""
    return [int(layer["out_channels"]) for layer in _present(config)]


def check_layers(config: Mapping[str, Any], source: object) -> None:
    """Raise UserError unless there are blocks and the channels of consecutive layers agree.

    Args:
        config: Content of the file.
        source: The file, for messages.
    """
    try:
        channels = _channels(config)
        if not config["blocks"]:
            raise UserError(f"'{source}' is damaged: it has no blocks")
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise UserError(f"'{source}' {_no_network(config, error)}") from error
    for (before, _, gives), (name, takes, _) in pairwise(channels):
        if gives != takes:
            raise UserError(
                f"'{source}' is damaged: {name} takes {takes} channels, and {before} before it gives {gives}"
            )


def _no_network(config: Mapping[str, Any], error: Exception) -> str:
    """Return what is wrong with the description of a network."""
    what = f"{error} is missing" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
    return f"is damaged, or no network of '{kind_of(config)}': {what}"


def _channels(config: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """Return name, input channels and output channels of the layers that follow each other in a network."""
    kind, layers = kind_of(config), list[tuple[str, Any]]()
    if kind == "ResNets":
        layers += [(f"input_stem[{i}]", _layer(part)) for i, part in enumerate(config["input_stem"])]
    else:
        layers.append(("first_conv", config["first_conv"]))
    layers += [(f"blocks[{i}]", layer) for i, layer in enumerate(_layers(config))]
    if kind == "MobileNetV3":
        layers.append(("final_expand_layer", config["final_expand_layer"]))
    if kind not in ("ResNets", "AttentiveNasStaticModel") and config["feature_mix_layer"] is not None:
        layers.append(("feature_mix_layer", config["feature_mix_layer"]))
    layers = [(name, layer) for name, layer in layers if layer.get("name") != _ABSENT]
    found = [(name, int(layer["in_channels"]), int(layer["out_channels"])) for name, layer in layers]
    classifier = config["classifier"]
    if kind != "AttentiveNasStaticModel":  # whose last convolutions are not in the file
        found.append(("classifier", int(classifier["in_features"]), int(classifier["out_features"])))
    return found


def architectures(config: Mapping[str, Any], widths: Sequence[float], source: object) -> list[dict[str, Any]]:
    """Return the possible architectures of a ``net.config``, without a resolution if it has none.

    OFA's networks do not name their width multiplier: there is one architecture for each of ``widths``, and
    :func:`outputs` tells which it is.

    Args:
        config: The file's content.
        widths: The multipliers of the search space; ignored where the file itself says all widths.
        source: The file, for messages.

    Raises:
        UserError: If it describes no network of these families.
    """
    kind = kind_of(config)
    try:
        if kind == "AttentiveNasStaticModel":
            return [_attentivenas(config)]
        if kind == "ResNets":
            return [_resnet(config)]
        if kind in NAMES:
            return [{**_mobile(config), "w": width} for width in widths]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise UserError(f"'{source}' {_no_network(config, error)}") from error
    raise UserError(f"'{source}' describes a network of '{kind}', which is unknown; known are {', '.join(NAMES)}")


def _layers(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [_layer(block) for block in config["blocks"]]


def _present(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [layer for layer in _layers(config) if layer.get("name") != _ABSENT]


def _layer(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the layer of a residual block; other layers as they are."""
    layer: Mapping[str, Any] = next((block[key] for key in _BLOCKS if key in block), block)
    return layer


def _stages(layers: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Split layers where the number of channels or the resolution changes."""
    starts = [i for i, layer in enumerate(layers) if layer["in_channels"] != layer["out_channels"] or _halves(layer)]
    starts = sorted({0, *starts})
    return [list(layers[a:b]) for a, b in pairwise([*starts, len(layers)])]


def _alike(layers: Sequence[Mapping[str, Any]]) -> bool:
    return len({layer["kernel_size"] for layer in layers}) == 1


def _halves(layer: Mapping[str, Any]) -> bool:
    return bool(layer["stride"] == 2)


def _mobile(config: Mapping[str, Any]) -> dict[str, Any]:
    layers = _present(config)[1:]  # the first has no choices
    return {
        "ks": [layer["kernel_size"] for layer in layers],
        "e": [layer["expand_ratio"] for layer in layers],
        "d": [len(stage) for stage in _stages(layers)],
    }


def _attentivenas(config: Mapping[str, Any]) -> dict[str, Any]:
    stages = _stages(_present(config))
    if len(stages) == _ATTENTIVENAS_STAGES - 1:  # the last two have equal widths
        both = stages.pop()
        cut = next((cut for cut in (-1, -2) if _alike(both[:cut]) and _alike(both[cut:])), -1)
        stages += [both[:cut], both[cut:]]
    widths = [config["first_conv"]["out_channels"], *(stage[-1]["out_channels"] for stage in stages)]
    return {
        "r": config["resolution"],
        "w": [*widths, config["classifier"]["in_features"]],
        "d": [len(stage) for stage in stages],
        "ks": [stage[0]["kernel_size"] for stage in stages],
        "e": [stage[0]["expand_ratio"] for stage in stages],
    }


def _resnet(config: Mapping[str, Any]) -> dict[str, Any]:
    stages = _stages(_present(config))
    depths = [len(stage) - base for stage, base in zip(stages, BASE_DEPTHS, strict=True)]
    expands: list[float] = []
    for stage, size in zip(stages, STAGE_SIZES, strict=True):
        expands += [layer["expand_ratio"] for layer in stage] + [ABSENT] * (size - len(stage))
    stem = config["input_stem"]
    first, last = (_out_channels(stem[i]) for i in (0, -1))
    channels = [first, last, *(stage[-1]["out_channels"] for stage in stages)]
    return {
        "d": [2 if len(stem) > 2 else 0, *depths],
        "e": expands,
        "w": [_RESNET_CHANNELS[place].index(value) for place, value in enumerate(channels)],
    }


def _out_channels(layer: Mapping[str, Any]) -> int:
    return int(layer["out_channels"])
