import numpy as np
import pytest
import torch

from nas.errors import UserError
from nas.space.joint import EACH_MACS
from nas.supernet.joint import JointSupernet
from tests.products import several


def test_members_keep_their_own_weights_and_spaces() -> None:
    supernet = several()
    assert list(supernet.members) == ["thin", "plain", "wide"]
    assert list(supernet.space.members) == ["thin", "plain", "wide"]
    assert not supernet.trained
    state = supernet.module.state_dict()
    for name, each in supernet.members.items():
        assert supernet.space.members[name] is each.space
        for key, tensor in each.module.state_dict().items():
            assert torch.equal(state[f"{name}.{key}"], tensor)
    assert len(state) == sum(len(each.module.state_dict()) for each in supernet.members.values())


def test_costs_are_the_members() -> None:
    supernet = several()
    genomes = supernet.space.sample(10, np.random.default_rng(0))
    parts = dict(zip(supernet.members, supernet.space.split(genomes), strict=True))
    costs = supernet.costs()
    assert set(costs) == {"params", EACH_MACS}  # what a cascade takes depends on what networks answer
    for name, each in supernet.members.items():
        np.testing.assert_array_equal(costs[EACH_MACS].parts(genomes)[name], each.costs()["macs"](parts[name]))
    expected = sum(each.costs()["params"](parts[name]) for name, each in supernet.members.items())
    np.testing.assert_array_equal(costs["params"](genomes), expected)


def test_fingerprints_tell_members_and_their_order_apart() -> None:
    prints = [several(*names).fingerprint for names in (("thin", "wide"), ("wide", "thin"), ("thin", "plain"))]
    assert len(set(prints)) == 3
    assert several("thin", "wide").fingerprint == prints[0]


def test_fewer_than_two_are_refused() -> None:
    with pytest.raises(UserError, match=r"supernet=\[thin\] is too few: a cascade needs two supernets or more"):
        several("thin")
    with pytest.raises(UserError, match="too few"):
        JointSupernet(members={})


def test_there_is_no_network_of_all() -> None:
    supernet = several()
    architecture = supernet.space.decode(supernet.space.largest)
    for ask in (
        lambda: supernet.extract(architecture),
        lambda: supernet.forward(torch.zeros(1, 3, 8, 8), architecture),
    ):
        with pytest.raises(UserError, match="several supernets have no network in common"):
            ask()
