"""What all networks of the package ``ofa`` (Once-for-All, Cai et al. 2020) need to be supernets here."""

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
"""Where the weights are that the package downloads."""

DynamicSeparableConv2d.KERNEL_TRANSFORM_MODE = 1  # smaller kernels are linear maps of the larger ones' centres

_DECISIVE = (
    *("n_classes", "width", "resolutions", "last_kernel_sizes", "last_expand_ratios"),
    *("checkpoint", "dropout", "drop_path", "gradient_checkpointing", "seed"),
)
"""The settings that a fingerprint is of, in this order."""

_REPEATED = re.compile(r"\.(conv|bn|linear)(?:\.\1)+\.")
_BLOCK = re.compile(r"(blocks|input_stem)\.(\d+)\.")


def first_weights(build: Callable[[], Any], seed: int) -> Any:
    """Build a dynamic network with OFA's random weights, and leave torch's own random state alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng_for(seed, 0, "weights").integers(2**63)))
        network = build()
        init_models(network)
    return network.eval()


def uniform(key: str) -> str:
    """Return the name that a tensor has in all layouts of OFA's files.

    A dynamic layer holds an ordinary one of the same name (``conv.conv.weight``), a static one does not
    (``conv.weight``), and blocks of older files hold ``mobile_inverted_conv`` where newer ones hold ``conv``.
    """
    return _REPEATED.sub(r".\1.", key.replace(".mobile_inverted_conv.", ".conv."))


def renamed(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Return tensors of any of OFA's layouts under the module's own names; others keep theirs."""
    own = {uniform(key): key for key in module.state_dict()}
    return {own.get(uniform(key), key): value for key, value in state.items()}


def load(network: nn.Module, checkpoint: str | None, published: Published, cache: Path) -> str:
    """Load a checkpoint into a network.

    Args:
        network: A dynamic network, its classifier of any size, or several.
        checkpoint: A path, ``"random"``, or ``None`` for the published file.
        published: That file.
        cache: Folder of downloaded files.

    Returns:
        What identifies the weights: the file's SHA-256, or ``"random"``.

    Raises:
        UserError: If there is no such file or it does not fit.
    """
    path = locate(checkpoint, published, cache)
    if path is None:
        return RANDOM
    head = tuple(name for name in network.state_dict() if "classifier." in name)
    load_into(network, renamed(read_state_dict(path), network), head=head, path=path)
    return file_digest(path)


def fingerprint(kind: str, settings: Mapping[str, Any], weights: Sequence[str]) -> str:
    """Return the SHA-256 of all that decides a network: its kind, its settings, and what identifies its weights."""
    decisive = [
        kind,
        VERSION,
        {name: settings[name] for name in _DECISIVE if name in settings},
        weights,
        version("ofa"),
    ]
    return hashlib.sha256(json.dumps(decisive, default=str).encode()).hexdigest()


def static(build: Callable[[dict[str, Any]], Any], config: dict[str, Any]) -> Any:
    """Build an ordinary network of the package from its description, without memory for its tensors."""
    with torch.device("meta"):
        return build(config)


def fill(subnet: nn.Module, network: Any, parts: Mapping[str, list[int]]) -> None:
    """Give a subnet copies of its part of the dynamic network's tensors.

    Args:
        subnet: An ordinary network of the package, on the meta device.
        network: The dynamic network, with the subnet's architecture set.
        parts: By the name of a list of modules, the index in ``network`` of each module of the subnet's list.
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
    nn.Module.load_state_dict(subnet, state, assign=True)  # the package's own method cannot assign


def _separable(network: Any, key: str) -> Any:
    """Return the dynamic layer that a weight of this name belongs to if its kernels are transformed, or ``None``."""
    if not key.endswith(".depth_conv.conv.weight"):
        return None
    layer = network.get_submodule(key.removesuffix(".weight"))
    return layer if isinstance(layer, DynamicSeparableConv2d) else None
