from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from nas.objective.latency_terms import ABSENT, terms_of
from nas.supernet.base import Supernet
from nas.supernet.elastic import layers
from tests.objective.test_latency_terms import SUPERNETS
from tests.ofa_networks import counted, images


@pytest.mark.parametrize("name", SUPERNETS)
@torch.no_grad()
def test_layers_are_those_of_the_table_of_costs(name: str) -> None:
    supernet: Supernet = SUPERNETS[name]()
    macs = supernet.costs()["macs"]
    terms = [term for term in terms_of(supernet.space, macs) if term.is_layer]
    for genome in supernet.space.sample(4, np.random.default_rng(1)):
        there = [term for term in terms if term.kind(genome[None])[0] != ABSENT]
        architecture = supernet.space.decode(genome)
        network = supernet.extract(architecture)
        modules = layers(network, len(there))
        ran: list[tuple[nn.Module, torch.Tensor]] = []
        for module in modules:
            module.register_forward_pre_hook(partial(_keep, ran))
        network(images(architecture))
        assert [module for module, _ in ran] == modules
        expected = [int(macs.parts(genome[None])[term.name][0]) for term in there]
        assert [counted(module, batch)[1] for module, batch in list(ran)] == expected


def _keep(ran: list[tuple[nn.Module, torch.Tensor]], module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
    ran.append((module, inputs[0]))
