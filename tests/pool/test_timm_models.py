import random

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

from nas.errors import UserError
from nas.plotting.architecture import layers_of
from nas.pool.timm_models import MultiplyAdds, make_model, model_names, transform_of
from tests.small import tiny


def test_patterns_become_names():
    assert model_names(["efficientnet_lite[01]", "resnet18", "efficientnet_lite*"]) == (
        "efficientnet_lite0",
        "efficientnet_lite1",
        "resnet18",
        "efficientnet_lite2",
        "efficientnet_lite3",
        "efficientnet_lite4",
    )
    assert "resnet18.a1_in1k" in model_names(["resnet18.*"])


def test_the_published_list():
    names = model_names("published")
    assert len(names) == len(set(names)) == 518
    assert names[0] == "beit_large_patch16_512"
    assert names[-1] == "tf_mobilenetv3_small_minimal_100"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["resnet81"], "has no 'resnet81'; did you mean 'resnet"),
        (["nothing*"], "no model of timm .* matches 'nothing"),
        ([], "pool.models is empty"),
        ("all", "pool.models=all is wrong"),
    ],
)
def test_unknown_names_are_refused(wanted, message):
    with pytest.raises(UserError, match=message):
        model_names(wanted)


def test_random_weights_follow_from_the_seed_and_leave_no_trace():
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    first, again, other = (make_model("mobilenetv3_small_050", "random", seed, 4, None) for seed in (0, 0, 1))
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])
    images = torch.ones(1, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(first(images), again(images))
        assert not torch.equal(first(images), other(images))
    assert not first.training


def test_each_model_has_its_own_images():
    network = make_model("resnet18", "random", 0, 4, None)
    own, side = transform_of(network, None)
    assert side == 288  # timm's size for tests
    assert "0.485" in str(own)
    assert "bicubic" in str(own).lower()
    smaller, side = transform_of(network, 160)
    assert side == 160
    assert "(160, 160)" in str(smaller)


def test_old_names_give_no_warnings():
    make_model("gluon_resnet18_v1b", "random", 0, 4, None)


def count(network: nn.Module, *shape: int) -> int:
    with torch.inference_mode(), MultiplyAdds() as counter:
        network.eval()(torch.zeros(*shape))
    return counter.total


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (nn.Linear(5, 7), (1, 5), 35),
        (nn.Linear(5, 7, bias=False), (1, 3, 5), 105),
        (nn.Conv2d(4, 6, 3, padding=1), (1, 4, 8, 8), 8 * 8 * 6 * 4 * 9),
        (nn.Conv2d(4, 8, 3, stride=2, groups=4), (1, 4, 9, 9), 4 * 4 * 8 * 9),
        (nn.Conv1d(2, 3, 5), (1, 2, 10), 6 * 3 * 2 * 5),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.AvgPool2d(2)), (1, 3, 4, 4), 0),
    ],
)
def test_layers(layer, shape, macs):
    assert count(layer, *shape) == macs


def test_a_layer_that_is_called_as_a_function_counts():
    class Functional(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return functional.linear(input=images, weight=torch.ones(7, 5))

    assert count(Functional(), 1, 5) == 35


def test_subnets_cost_what_their_tables_say():
    supernet = tiny()
    for genome in (supernet.space.smallest, supernet.space.largest):
        architecture = supernet.space.decode(genome)
        side = architecture.config["r"]
        macs = count(supernet.extract(architecture), 1, 3, side, side)
        assert macs == supernet.costs()["macs"](genome[None])[0]


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenetv3_small_050"])
def test_timm_models_cost_what_their_layers_say(name):
    network = timm.create_model(name)
    macs = count(network, 1, 3, 96, 96)
    assert macs == sum(layer.macs for layer in layers_of(network, 96))


def test_published_costs():
    """ResNet-18 at 224 pixels: 1.82 billion multiply-adds (Goyal et al., fvcore)."""
    assert count(timm.create_model("resnet18"), 1, 3, 224, 224) == pytest.approx(1.814e9, rel=1e-3)
