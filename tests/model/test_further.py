from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nas.errors import UserError
from nas.model.base import Model, silent
from nas.model.find import ModelKeys, find_source
from nas.model.further import teacher_of, teacher_source, to_train, trained
from nas.model.given import Given
from tests.small import Bars

CLASSES = ("a", "b", "c")


def of_timm() -> Model:
    return named({"dataset": None}, "timm:mobilenetv3_small_050")


def named(settings: dict[str, Any], model: str, **words: Any) -> Model:
    given = Given(settings=settings, device="cpu", cache=None)  # type: ignore[arg-type]
    keys: dict[str, Any] = {"weights": "random", "r": 32} | words
    return find_source(ModelKeys(model=model, **keys), recalibrate=True, given=given).load(silent)


def prepared(model: Model, classes: tuple[str, ...], **changes: Any) -> tuple[torch.nn.Module, dict[str, Any]]:
    settings: dict[str, Any] = {
        "mean": (0.1, 0.2, 0.3),
        "std": (0.4, 0.5, 0.6),
        "dropout": 0.0,
        "drop_path": 0.0,
        "seed": 1,
        "keep_classifier": len(classes) == model.described["n_classes"],
    }
    return to_train(model, class_names=classes, **(settings | changes))


def test_a_new_classifier_for_other_classes_and_all_else_as_it_was():
    model = of_timm()
    torch.manual_seed(3)
    network, described = prepared(model, CLASSES)
    torch.manual_seed(4)
    again, _ = prepared(model, CLASSES)
    assert model.network is not None
    before, after, twice = model.network.state_dict(), network.state_dict(), again.state_dict()
    changed = {name for name, tensor in after.items() if tensor.shape != before[name].shape}
    assert changed == {"classifier.weight", "classifier.bias"}
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items() if name not in changed)
    assert all(torch.equal(tensor, twice[name]) for name, tensor in after.items())
    assert (described["n_classes"], described["class_names"]) == (3, list(CLASSES))
    assert described["mean"] == model.described["mean"]  # of a model of timm


def test_a_new_classifier_for_as_many_other_classes():
    model = of_timm()
    assert model.network is not None
    model.network.get_submodule("classifier").bias.data.fill_(1.0)
    before, names = model.network.state_dict(), tuple(f"class {i}" for i in range(1000))
    network, described = prepared(model, names, keep_classifier=False)
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    assert described["class_names"] == list(names)
    kept, _ = prepared(model, names, keep_classifier=True)
    assert all(torch.equal(tensor, before[name]) for name, tensor in kept.state_dict().items())


def test_dropout_and_stochastic_depth_are_there_in_training_alone():
    names = tuple(map(str, range(1000)))
    network, _ = prepared(of_timm(), names, dropout=0.5, drop_path=0.5)
    noise = torch.randn(2, 3, 32, 32)
    assert torch.equal(network(noise), network(noise))
    network.train()
    assert not torch.equal(network(noise), network(noise))


def test_what_was_trained_is_a_model():
    model = of_timm()
    network, described = prepared(model, CLASSES, dropout=0.5)
    weights = {name: tensor + 1 for name, tensor in network.state_dict().items()}
    metrics = {"test": {"top1": 50.0, "top5": 100.0, "loss": 1.0}}
    result = trained(
        described, weights, metrics=metrics, dataset={"_target_": "x"}, data={}, source={"run": "/a/run", "epoch": 3}
    )
    assert result.network is not None
    assert all(torch.equal(tensor, weights[name]) for name, tensor in result.network.state_dict().items())
    assert result.ready(torch.rand(2, 3, 40, 40)).shape == (2, 3)
    assert result.described["metrics"] == metrics
    assert result.described["weights"] != model.described["weights"]
    assert result.described["costs"]["flops"] < model.described["costs"]["flops"]
    assert result.described["source"] == {
        "run": "/a/run",
        "epoch": 3,
        "from": "timm mobilenetv3_small_050, weights random",
    }


def test_a_cascade_is_refused():
    cascade = Model("two", None, torch.nn.Identity(), {"kind": "cascade", "n_classes": 3})
    with pytest.raises(UserError, match="two is a cascade, which cannot be trained further"):
        prepared(cascade, CLASSES)


def test_a_seed_of_more_than_32_bits_gives_a_classifier_of_its_own():
    weights = [prepared(of_timm(), CLASSES, seed=seed)[0].state_dict() for seed in (2**32, 0, 2**32)]
    assert not torch.equal(weights[0]["classifier.weight"], weights[1]["classifier.weight"])
    assert torch.equal(weights[0]["classifier.weight"], weights[2]["classifier.weight"])


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
