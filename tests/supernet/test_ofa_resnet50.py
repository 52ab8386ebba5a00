from pathlib import Path
from typing import Any

import pytest
import torch
from ofa.imagenet_classification.elastic_nn.networks import OFAResNets
from torch import nn

from nas.supernet.ofa_resnet50 import OfaResnet50
from nas.types import Architecture
from tests.ofa_networks import SETTINGS, check_architectures, check_fine_tuning, check_independence, scramble


def supernet(**changes: Any) -> OfaResnet50:
    return OfaResnet50(**(SETTINGS | changes))


def compare(n: int, n_in_place: int, n_reference: int) -> None:
    net = supernet()
    scramble(net.module)
    package = OFAResNets(
        n_classes=10,
        dropout_rate=0,
        depth_list=[0, 1, 2],
        expand_ratio_list=[0.2, 0.25, 0.35],
        width_mult_list=[0.65, 0.8, 1.0],
    )
    package.load_state_dict(net.module.state_dict())

    def reference(architecture: Architecture) -> nn.Module:
        package.set_active_subnet(**{key: list(architecture.config[key]) for key in "dew"})
        subnet: nn.Module = package.get_active_subnet(preserve_weight=True)
        return subnet

    check_architectures(net, reference, n=n, n_in_place=n_in_place, n_reference=n_reference)


@pytest.mark.slow
def test_logits_and_costs_are_the_packages() -> None:
    compare(50, 6, 6)


@pytest.mark.slow
def test_logits_of_many_architectures() -> None:
    compare(50, 50, 50)


@pytest.mark.slow
def test_costs_of_many_architectures() -> None:
    compare(1000, 0, 0)


def test_extracted_networks_are_independent() -> None:
    check_independence(supernet())


@pytest.mark.slow
def test_fine_tuning() -> None:
    check_fine_tuning(supernet)


def test_names_of_static_layers_load(tmp_path: Path) -> None:
    source = supernet()
    scramble(source.module)
    state = source.module.state_dict()
    doubled = [(f".{kind}.{kind}.", f".{kind}.") for kind in ("bn", "linear")]
    layout = {}
    for key, value in state.items():
        for two, one in doubled:
            key = key.replace(two, one)  # noqa: PLW2901
        layout[key] = value
    assert set(layout) != set(state)
    torch.save({"state_dict": layout}, tmp_path / "weights")
    loaded = supernet(checkpoint=str(tmp_path / "weights"))
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.module.state_dict().items())
