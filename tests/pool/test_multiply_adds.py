import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

from nas.pool.multiply_adds import MultiplyAdds
from nas.report.architecture import layers_of
from tests.small import tiny


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
