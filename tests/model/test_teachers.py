from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nas.errors import UserError
from nas.model.base import Model
from nas.model.given import Given
from nas.model.teachers import teacher_of, teacher_source
from tests.small import Bars

OFA = {
    "_target_": "nas.supernet.ofa_mobilenet.OfaMobileNet",
    "width": 1.0,
    "resolutions": [32, 64],
    "checkpoint": "random",
    "dropout": 0.0,
    "drop_path": 0.0,
    "gradient_checkpointing": False,
    "seed": 0,
}


def given(**settings: Any) -> Given:
    return Given(settings=settings, device="cpu", cache=Path("cache"))


class Thousand(Bars):
    class_names = tuple(map(str, range(1000)))


def test_the_largest_architecture_of_the_supernet_that_is_named(tmp_path, monkeypatch):
    data = Thousand()
    source = teacher_source("supernet", None, front=None, given=given(supernet=OFA), dataset=data)
    model = source.load(lambda *_: None)
    assert model.described["architecture"]["ks"] == [7] * 20
    assert model.described["architecture"]["d"] == [4] * 5
    assert model.described["resolution"] == 64
    assert teacher_of(model, None, data)(torch.randn(2, 3, 32, 32)).shape == (2, 1000)


def test_a_teacher_answers_in_the_order_of_the_images_classes():
    data, names = Bars(), ("right", "lower", "left", "upper")
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    described = {"kind": "architecture", "mean": data.mean, "std": data.std, "resolution": 8}
    model = Model("teacher", network, network, described)
    images = torch.randn(5, 3, 8, 8)
    own, ordered = (teacher_of(model, known, data)(images) for known in (None, names))
    torch.testing.assert_close(ordered, own[:, [3, 1, 2, 0]])


@pytest.mark.parametrize(
    ("name", "weights", "settings", "message"),
    [
        ("supernet", None, {}, "which supernet is unknown: add supernet=NAME"),
        ("supernet", None, {"supernet": OFA | {"checkpoint": None}}, "supernet has 1,000 classes, the data set has 4"),
        ("supernet", None, {"supernet": {"_target_": "nas.supernet.tiny.Tiny"}}, "supernet has no weights; name"),
        ("timm:resnet18", "random", {}, "timm:resnet18 has 1,000 classes, the data set has 4"),
        ("timm:resnet118", "random", {}, "did you mean"),
        ("nowhere", None, {}, "nowhere does not exist"),
    ],
)
def test_teachers_that_do_not_fit(name, weights, settings, message):
    with pytest.raises(UserError, match=r"^[^\n]*$") as refusal:
        teacher_source(name, weights, front=None, given=given(**settings), dataset=Bars())
    assert message in str(refusal.value)


def test_a_model_of_timm_that_takes_images_of_one_size_gets_them():
    data = Thousand()
    source = teacher_source("timm:vit_tiny_patch16_224", "random", front=None, given=given(), dataset=data)
    teacher = teacher_of(source.load(lambda *_: None), None, data)
    assert teacher(torch.randn(1, 3, 32, 32)).shape == (1, 1000)
