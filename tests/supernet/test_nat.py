from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3
from torch import nn

from nas.errors import UserError
from nas.supernet.nat import Nat
from nas.supernet.ofa_mobilenet import OfaMobileNet
from nas.types import Architecture
from tests.ofa_networks import MOBILE, SETTINGS, check_architectures, check_independence, padded, scramble


def supernet(**changes: Any) -> Nat:
    return Nat(**(SETTINGS | changes))


def compare(n: int, n_in_place: int, n_reference: int) -> None:
    net = supernet()
    scramble(net.module)
    packages = {}
    for width, network in zip((1.0, 1.2), net.module.children(), strict=True):
        packages[width] = OFAMobileNetV3(n_classes=10, dropout_rate=0, width_mult=width, **MOBILE)
        packages[width].load_state_dict(network.state_dict())

    def reference(architecture: Architecture) -> nn.Module:
        config = architecture.config
        kernels, expands = (padded(config[key], config["d"], [4] * 5) for key in ("ks", "e"))
        packages[config["w"]].set_active_subnet(ks=kernels, e=expands, d=config["d"])
        subnet: nn.Module = packages[config["w"]].get_active_subnet(preserve_weight=True)
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


def test_width_is_the_last_gene() -> None:
    space = supernet().space
    assert space.n_genes == 47
    assert space.names[-1] == "width"
    assert space.decode(space.smallest).config["w"] == 1.0
    assert space.decode(space.largest).config["w"] == 1.2


def test_extracted_networks_are_independent() -> None:
    check_independence(supernet())


def test_two_checkpoints_load(tmp_path: Path) -> None:
    paths = []
    for width in (1.0, 1.2):
        source = OfaMobileNet(**(SETTINGS | {"width": width}))
        scramble(source.module, seed=int(10 * width))
        paths.append(str(tmp_path / f"w{width}"))
        torch.save({"state_dict": source.module.state_dict()}, paths[-1])
    net = supernet(checkpoint=tuple(paths))
    costs = net.costs()
    for width, path in zip((1.0, 1.2), paths, strict=True):
        single = OfaMobileNet(**(SETTINGS | {"width": width, "checkpoint": path}))
        architecture = single.space.decode(single.space.sample(1, np.random.default_rng(0))[0])
        batch = torch.randn(2, 3, architecture.config["r"], architecture.config["r"])
        both = net.space.decode(net.space.encode(architecture.config))
        assert torch.equal(net.extract(both)(batch), single.extract(architecture)(batch))
        for name, table in single.costs().items():
            assert costs[name](np.array([both.genome])) == table(np.array([architecture.genome]))


@pytest.mark.parametrize("checkpoint", ["weights", ("weights",), ("a", "b", "c")])
def test_one_checkpoint_is_not_enough(checkpoint: str | tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"must be 2 files, of the widths 1\.0 and 1\.2"):
        supernet(checkpoint=checkpoint)
