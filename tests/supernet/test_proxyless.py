import re
from pathlib import Path
from typing import Any

import pytest
import torch
from ofa.imagenet_classification.elastic_nn.networks import OFAProxylessNASNets
from torch import nn

from nas.supernet.proxyless import Proxyless
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


def supernet(**changes: Any) -> Proxyless:
    last = {"last_kernel_sizes": (3, 5, 7), "last_expand_ratios": (3, 4, 6)}
    return Proxyless(**(SETTINGS | last | changes))


def compare(n: int, n_in_place: int, n_reference: int) -> None:
    net = supernet()
    scramble(net.module)
    package = OFAProxylessNASNets(n_classes=10, dropout_rate=0, width_mult=1.3, **MOBILE)
    package.load_state_dict(net.module.state_dict())

    def reference(architecture: Architecture) -> nn.Module:
        config = architecture.config
        kernels, expands = (padded(config[key], config["d"], [4] * 5 + [1]) for key in ("ks", "e"))
        package.set_active_subnet(ks=kernels, e=expands, d=config["d"])
        subnet: nn.Module = package.get_active_subnet(preserve_weight=True)
        return subnet

    check_architectures(net, reference, n=n, n_in_place=n_in_place, n_reference=n_reference)


@pytest.mark.slow
def test_logits_and_costs_are_the_packages() -> None:
    compare(50, 10, 6)


@pytest.mark.slow
def test_logits_of_many_architectures() -> None:
    compare(50, 50, 50)


@pytest.mark.slow
def test_costs_of_many_architectures() -> None:
    compare(1000, 0, 0)


def test_extracted_networks_are_independent() -> None:
    check_independence(supernet())


def test_fine_tuning() -> None:
    check_fine_tuning(supernet)


def test_old_names_load(tmp_path: Path) -> None:
    source = supernet()
    scramble(source.module)
    state = source.module.state_dict()
    old = {re.sub(r"^(blocks\.\d+)\.conv\.", r"\1.mobile_inverted_conv.", key): value for key, value in state.items()}
    torch.save({"state_dict": old}, tmp_path / "weights")
    loaded = supernet(checkpoint=str(tmp_path / "weights"))
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.module.state_dict().items())
