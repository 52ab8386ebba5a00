import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3
from torch import Tensor, nn

from nas.errors import UserError
from nas.supernet.ofa_mobilenet import OfaMobileNet
from nas.types import Architecture
from tests.ofa_networks import (
    MOBILE,
    SETTINGS,
    check_architectures,
    check_fine_tuning,
    check_independence,
    padded,
    scramble,
)

REFERENCE = Path(__file__).parents[1] / "reference" / "ofa_mbv3_w10_costs.json"


def supernet(**changes: Any) -> OfaMobileNet:
    return OfaMobileNet(**(SETTINGS | {"width": 1.0} | changes))


def package_subnet(network: Any, architecture: Architecture) -> nn.Module:
    config = architecture.config
    sizes = [4] * len(config["d"])
    kernels, expands = (padded(config[key], config["d"], sizes) for key in ("ks", "e"))
    network.set_active_subnet(ks=kernels, e=expands, d=config["d"])
    subnet: nn.Module = network.get_active_subnet(preserve_weight=True)
    return subnet


def compare(width: float, n: int, n_in_place: int, n_reference: int) -> None:
    net = supernet(width=width)
    scramble(net.module)
    package = OFAMobileNetV3(n_classes=10, dropout_rate=0, width_mult=width, **MOBILE)
    package.load_state_dict(net.module.state_dict())
    check_architectures(
        net,
        lambda architecture: package_subnet(package, architecture),
        n=n,
        n_in_place=n_in_place,
        n_reference=n_reference,
    )


def test_logits_and_costs_are_the_packages() -> None:
    compare(1.0, 50, 10, 6)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1.0, 1.2])
def test_logits_of_many_architectures(width: float) -> None:
    compare(width, 50, 50, 50)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1.0, 1.2])
def test_costs_of_many_architectures(width: float) -> None:
    compare(width, 1000, 0, 0)


@pytest.mark.parametrize("row", json.loads(REFERENCE.read_text()), ids=lambda row: f"r{row['arch']['r']}")
def test_costs_of_the_original_tool(row: dict[str, Any]) -> None:
    """Its multiply-adds are torchprofile's, which counts more than convolutions and linear layers."""
    net = supernet(n_classes=1000, resolutions=tuple(range(192, 257, 4)))
    genome = net.space.encode(row["arch"])[None]
    costs = net.costs()
    assert costs["params"](genome)[0] == row["params"]
    assert 0.95 < costs["macs"](genome)[0] / row["macs_torchprofile"] < 1


def test_extracted_networks_are_independent() -> None:
    check_independence(supernet())


def test_fine_tuning() -> None:
    check_fine_tuning(supernet)


def test_first_weights_depend_on_the_seed_alone() -> None:
    state = torch.random.get_rng_state()
    one, same, other = supernet(), supernet(), supernet(seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    weights = [net.module.state_dict()["blocks.3.conv.depth_conv.conv.conv.weight"] for net in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert one.fingerprint == same.fingerprint != other.fingerprint


def old_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As the files of 2020 have them."""
    return {re.sub(r"^(blocks\.\d+)\.conv\.", r"\1.mobile_inverted_conv.", key): value for key, value in state.items()}


def encas_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As ENCAS has them, where every layer is a dynamic one."""
    static = re.compile(r"^(first_conv|final_expand_layer|feature_mix_layer|classifier|blocks\.0)\.")
    doubled = re.compile(r"\.(conv|bn|linear)\.(?=weight|bias|running|num)")
    return {doubled.sub(r".\1.\1.", key) if static.match(key) else key: value for key, value in state.items()}


def newest_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return state


@pytest.mark.parametrize("names", [newest_names, old_names, encas_names])
def test_every_layout_loads(names: Any, tmp_path: Path) -> None:
    source = supernet()
    scramble(source.module)
    state = source.module.state_dict()
    layout = names(state)
    assert (set(layout) == set(state)) == (names is newest_names)
    torch.save({"epoch": 3, "state_dict": layout}, tmp_path / "weights")
    loaded = supernet(checkpoint=str(tmp_path / "weights"))
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.module.state_dict().items())
    assert loaded.fingerprint != source.fingerprint


def test_classifier_of_another_size_is_reset(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = supernet()
    scramble(source.module)
    torch.save({"state_dict": source.module.state_dict()}, tmp_path / "weights")
    with caplog.at_level(logging.WARNING):
        loaded = supernet(n_classes=7, checkpoint=str(tmp_path / "weights"))
    assert "classifier.linear.weight" in caplog.text
    state = loaded.module.state_dict()
    assert state["classifier.linear.weight"].shape == (7, 1280)
    name = "blocks.7.conv.depth_conv.conv.7to5_matrix"
    assert torch.equal(state[name], source.module.state_dict()[name])


def test_weights_of_another_width_are_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": supernet(width=1.2).module.state_dict()}, tmp_path / "weights")
    with pytest.raises(UserError, match=r"'blocks\.1\.conv.*has the shape .* but must have|first_conv"):
        supernet(checkpoint=str(tmp_path / "weights"))


def test_widths_without_weights_are_refused() -> None:
    with pytest.raises(UserError, match=r"width is 1\.1; weights are published for 1\.0, 1\.2"):
        supernet(width=1.1)


def test_parts_of_costs_have_names() -> None:
    net = supernet()
    parts = net.costs()["params"].parts(net.space.largest[None])
    assert list(parts)[:2] == ["stem, features, classifier", "stage1.layer1"]
    block = net.module.get_submodule("blocks.5")
    matrices = sum(p.numel() for name, p in block.named_parameters() if name.endswith("matrix"))
    assert parts["stage2.layer1"][0] == sum(p.numel() for p in block.parameters()) - matrices
    assert sum(int(np.sum(part)) for part in parts.values()) == net.costs()["params"](net.space.largest[None])[0]
