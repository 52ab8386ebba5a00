"""Activations that the original tools' networks have and the package ``ofa`` lacks."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

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
