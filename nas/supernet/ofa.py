"""Shared functions for supernets of the package ``ofa`` (Once-for-All, Cai et al. 2020)."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from ofa.imagenet_classification.elastic_nn.modules.dynamic_op import DynamicSeparableConv2d
from ofa.utils import init_models
from torch import Tensor, nn

from nas.files import file_digest
from nas.seeding import rng_for
from nas.supernet.base import VERSION
from nas.supernet.checkpoint import RANDOM, Published, load_into, locate, read_state_dict
from nas.supernet.elastic import cut

OFA_NETS = "https://raw.githubusercontent.com/han-cai/files/master/ofa/ofa_nets/"
"""Address of the folder from which the package downloads its weights."""

DynamicSeparableConv2d.KERNEL_TRANSFORM_MODE = 1  # smaller kernels are linear maps of the centers of larger ones

_DECISIVE = (
    *("n_classes", "width", "resolutions", "last_kernel_sizes", "last_expand_ratios"),
    *("checkpoint", "dropout", "drop_path", "gradient_checkpointing", "seed"),
)
"""Settings that enter the fingerprint, in this order."""

_REPEATED = re.compile(r"\.(conv|bn|linear)(?:\.\1)+\.")
_BLOCK = re.compile(r"(blocks|input_stem)\.(\d+)\.")


def first_weights(build: Callable[[], Any], seed: int) -> Any:
    """Build a dynamic network with OFA's random initialization, without changing torch's global random state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng_for(seed, 0, "weights").integers(2**63)))
        network = build()
        init_models(network)
    return network.eval()


def uniform(key: str) -> str:
    """Return the name of a tensor, unified over all layouts of OFA's files.

    A dynamic layer contains an ordinary one of the same name (``conv.conv.weight``); a static layer does not
    (``conv.weight``). Blocks of older files use ``mobile_inverted_conv``, newer ones ``conv``.

    Example:
        >>> uniform("blocks.1.mobile_inverted_conv.depth_conv.conv.conv.weight")
        'blocks.1.conv.depth_conv.conv.weight'
    """
    return _REPEATED.sub(r".\1.", key.replace(".mobile_inverted_conv.", ".conv."))


def renamed(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Rename the tensors of any of OFA's layouts to the module's names; tensors of unknown names keep theirs."""
    own = {uniform(key): key for key in module.state_dict()}
    return {own.get(uniform(key), key): value for key, value in state.items()}


def load(network: nn.Module, checkpoint: str | None, published: Published, cache: Path) -> str:
    """Load a checkpoint into a network.

    Args:
        network: Dynamic network, or list of several; the classifier may have any size.
        checkpoint: Path of the weights; ``"random"`` to keep the random weights; ``None`` for the published file.
        published: Published file.
        cache: Folder for downloaded files.

    Returns:
        Identifier of the weights: the SHA-256 digest of the file, or ``"random"``.

    Raises:
        UserError: If the file does not exist or does not fit the network.
    """
    path = locate(checkpoint, published, cache)
    if path is None:
        return RANDOM
    head = tuple(name for name in network.state_dict() if "classifier." in name)
    load_into(network, renamed(read_state_dict(path), network), head=head, path=path)
    return file_digest(path)


def fingerprint(kind: str, settings: Mapping[str, Any], weights: Sequence[str]) -> str:
    """Return the SHA-256 digest of everything that decides a network: its kind, settings and identifiers of weights."""
    decisive = [
        kind,
        VERSION,
        {name: settings[name] for name in _DECISIVE if name in settings},
        weights,
        version("ofa"),
    ]
    return hashlib.sha256(json.dumps(decisive, default=str).encode()).hexdigest()


def static(build: Callable[[dict[str, Any]], Any], config: dict[str, Any]) -> Any:
    """Build a static network of the package from its description, on the meta device."""
    with torch.device("meta"):
        return build(config)


def fill(subnet: nn.Module, network: Any, parts: Mapping[str, list[int]]) -> None:
    """Copy the subnet's part of the dynamic network's tensors into the subnet.

    Args:
        subnet: Static network of the package, on the meta device.
        network: Dynamic network in which the subnet's architecture is active.
        parts: Indices in ``network`` of the subnet's modules, by the name of the module list.
    """
    shared = {uniform(key): value for key, value in network.state_dict().items()}
    state = {}
    for key, target in subnet.state_dict().items():
        source = uniform(_BLOCK.sub(lambda match: f"{match[1]}.{parts[match[1]][int(match[2])]}.", key, count=1))
        layer = _separable(network, source)
        if layer is None:
            state[key] = cut(shared[source], target.shape).clone()
        else:
            state[key] = layer.get_active_filter(target.shape[0], target.shape[-1]).detach().clone()
    nn.Module.load_state_dict(subnet, state, assign=True)  # the package's own method ignores `assign`


def _separable(network: Any, key: str) -> Any:
    """Return the dynamic layer of a weight if its kernels are transformed, else ``None``."""
    if not key.endswith(".depth_conv.conv.weight"):
        return None
    layer = network.get_submodule(key.removesuffix(".weight"))
    return layer if isinstance(layer, DynamicSeparableConv2d) else None
