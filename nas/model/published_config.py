"""Networks and tensors in the layout of the original tool's ``net.config`` and ``net.inherited``."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from nas.model.attentive_config import STATIC, attentive_config, attentive_state
from nas.model.small_config import small_config
from nas.space.net_config import kind_of
from nas.supernet.attentivenas_network import AttentiveNetwork
from nas.supernet.mobile import MobileNetwork

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
