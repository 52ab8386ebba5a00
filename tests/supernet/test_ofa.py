import pytest
import torch
from ofa.imagenet_classification.elastic_nn.networks import OFAResNets
from torch import nn

from nas.supernet.ofa import renamed, uniform


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "blocks.3.mobile_inverted_conv.inverted_bottleneck.conv.conv.weight",
            "blocks.3.conv.inverted_bottleneck.conv.weight",
        ),
        ("blocks.3.conv.depth_conv.bn.bn.running_mean", "blocks.3.mobile_inverted_conv.depth_conv.bn.running_mean"),
        ("classifier.linear.linear.bias", "classifier.linear.bias"),
        ("input_stem.1.conv.conv.conv.weight", "input_stem.1.conv.conv.weight"),
        ("first_conv.conv.conv.weight", "first_conv.conv.weight"),
    ],
)
def test_names_are_the_same_in_all_layouts(one: str, other: str) -> None:
    assert uniform(one) == uniform(other)


def test_different_tensors_keep_different_names() -> None:
    state = OFAResNets(depth_list=[0, 1], expand_ratio_list=[0.2], width_mult_list=[0.65]).state_dict()
    assert len({uniform(key) for key in state}) == len(state)


def test_foreign_names_are_kept() -> None:
    module = nn.ModuleDict({"conv": nn.Conv2d(1, 1, 1)})
    state = {"conv.weight": torch.ones(1), "extra.conv.conv.weight": torch.zeros(1)}
    assert renamed(state, module) == state
