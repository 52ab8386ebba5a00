"""Networks from what describes them, and tensors into them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nas.errors import UserError
from nas.experiment import Experiment
from nas.model.base import ARCHITECTURE, NET_CONFIG, TIMM
from nas.model.layers import network_from_config, own_state
from nas.supernet.attentivenas_network import AttentiveNetwork
from nas.supernet.checkpoint import COUNTER, read_state_dict
from nas.targets import NO_OTHERS, Allowed


def network_of(
    described: Mapping[str, Any],
    source: Path,
    dropout: float | None = None,
    drop_path: float | None = None,
    allowed: Allowed = NO_OTHERS,
) -> nn.Module:
    """Build a network in eval mode, its weights random.

    Args:
        described: See :class:`nas.model.base.Model`; not of a cascade.
        source: The file that this is from, for messages.
        dropout: Probability that a feature is zeroed in training; ``None`` as described.
        drop_path: In training, the probability that a layer is dropped for an image; it grows linearly from 0 at the
            first layer to this value after the last one. ``None`` as described.
        allowed: Classes from outside ``nas`` that it may name.

    Raises:
        UserError: If it is not described as this version does it, or has no such probability.
    """
    kind = described.get("kind")
    try:
        if kind == ARCHITECTURE:
            return _subnet(described, source, dropout, drop_path, allowed)
        if kind == NET_CONFIG:
            return network_from_config(described["net_config"], source, dropout or 0.0, drop_path or 0.0)
        if kind == TIMM:
            return _timm(described, dropout, drop_path)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UserError(f"'{source}' is damaged ({type(error).__name__}: {error})") from error
    raise UserError(f"'{source}' is of the kind {kind!r}, which this version does not know")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read tensors by name, on the CPU: ``.safetensors``, or any file of tensors; no code in it is run.

    Raises:
        UserError: If there is no such file or it holds no tensors by name.
    """
    if path.suffix != ".safetensors":
        return read_state_dict(path)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"weights '{path}' cannot be read ({error})") from error


def fill(network: nn.Module, state: Mapping[str, Tensor], source: Path) -> None:
    """Copy all tensors into a network; names may follow any of OFA's layouts.

    Raises:
        UserError: If they are another architecture's.
    """
    own = network.state_dict()
    given: Mapping[str, Tensor] = state
    if type(network).__module__.startswith("ofa."):
        from nas.supernet.ofa import renamed

        given = renamed(state, network)
    elif isinstance(network, AttentiveNetwork):
        given = own_state(state, network)
    absent = [key for key in own if key not in given and key.rpartition(".")[2] != COUNTER]
    foreign = [key for key in given if key not in own]
    shapes = [key for key in own if key in given and own[key].shape != given[key].shape]
    for key in shapes[:1]:
        _refuse(source, f"'{key}' has the shape {tuple(given[key].shape)}, must have {tuple(own[key].shape)}")
    for key in absent[:1]:
        _refuse(source, f"'{key}' is missing")
    for key in foreign[:1]:
        _refuse(source, f"it has no '{key}'")
    # A class of the package ``ofa`` has a method of its own, which accepts too much.
    nn.Module.load_state_dict(network, {**own, **given})


def _refuse(source: Path, reason: str) -> None:
    raise UserError(f"'{source}' holds the weights of another architecture: {reason}")


def _subnet(
    described: Mapping[str, Any], source: Path, dropout: float | None, drop_path: float | None, allowed: Allowed
) -> nn.Module:
    node = dict(described["supernet"])
    if "checkpoint" in node:
        node["checkpoint"] = "random"  # the weights come from elsewhere, and nothing is downloaded
    for name, value in (("dropout", dropout), ("drop_path", drop_path)):
        if name in node and value is not None:
            node[name] = value
        elif value:
            raise UserError(f"the networks of {node['_target_']} have no {name}")
    places: dict[str, Any] = {"device": "cpu", "cache": source.parent, "allowed": allowed, "origin": source}
    parts = {"n_classes": described["n_classes"]}
    supernet = Experiment.of_folder({"supernet": node}, source.parent, **places, parts=parts).supernet
    genome = supernet.space.encode(described["architecture"])
    return supernet.extract(supernet.space.decode(genome))


def _timm(described: Mapping[str, Any], dropout: float | None, drop_path: float | None) -> nn.Module:
    import timm

    from nas.pool.timm_models import sized

    name = str(described["timm"])
    if not timm.is_model(name):  # names of other places would be downloaded
        raise UserError(f"timm {timm.__version__} has no '{name}'")
    rates = {"drop_rate": dropout, "drop_path_rate": drop_path}
    settings: dict[str, Any] = {key: value for key, value in rates.items() if value}
    settings["num_classes"] = described["n_classes"]
    built: nn.Module = sized(name, described["resolution"], pretrained=False, **settings).eval()
    return built
