"""Cascades of runs as models: they do with images what the run measured."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nas
from nas.cascade.module import Cascade, GapCascade
from nas.errors import UserError
from nas.model.base import Model, silent
from nas.model.find import find_source
from tests.cascades import write_pool
from tests.model.test_find import asked, given
from tests.rounding import rounding
from tests.small_runs import launched


def front(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "front.json").read_text())["front"]
    return found


def found_model(place: Path, run: str, arch: object) -> Model:
    return find_source(**asked(run=place / run, arch=arch), given=given(place)).load(silent)


def assert_measured(model: Model, place: Path, run: str, split: str, metrics: Mapping[str, float]) -> list[float]:
    """Compare a cascade with what its run measured of it; return which share of the images each stage answers."""
    dataset = find_source(**asked(run=place / run), given=given(place)).dataset()
    assert dataset is not None
    images = dataset.split(split)
    routed = model.ready(torch.from_numpy(images.pixels[:]).float() / 255)
    top1 = 100 * float((routed.predictions.numpy() == images.labels).mean())
    assert top1 == pytest.approx(metrics["top1"], abs=rounding(len(images)))
    assert float(routed.costs.mean()) == pytest.approx(metrics["flops"], rel=0.02)
    assert len(images) == 450
    return [100 * float((routed.stages == stage).float().mean()) for stage in range(len(model.members))]


def longest(folder: Path) -> int:
    return int(np.argmax([len(member["architecture"]["networks"]) for member in front(folder)]))


@pytest.mark.parametrize(("name", "kind"), [("encas", Cascade), ("ensemble", Cascade), ("greedy", GapCascade)])
def test_a_member_of_the_front_is_what_the_run_measured(runs, name, kind, monkeypatch):
    monkeypatch.chdir(runs)
    index = longest(runs / name)
    member = front(runs / name)[index]
    assert len(member["architecture"]["networks"]) > 1
    model = found_model(runs, name, index)
    assert isinstance(model.ready, kind) and not model.ready.training
    shares = assert_measured(model, runs, name, "test", member["test"])
    measured = [member["test"][f"answered_{stage + 1}"] for stage in range(len(shares))]
    np.testing.assert_allclose(shares, measured, atol=rounding(450))  # outputs are in half precision


def asked_about(member: Mapping[str, Any]) -> list[str]:
    """Return the supernets of a member of a joint front in the order in which their networks are asked."""
    return sorted(member["architecture"], key=lambda name: -member["architecture"][name]["position"])


def test_a_member_of_a_joint_front_is_what_the_run_measured(joint_runs):
    for index, member in enumerate(front(joint_runs / "joint/seed_0")):
        model = found_model(joint_runs, "joint/seed_0", index)
        order = asked_about(member)
        assert model.name == f"cascade-{index}" and model.described["networks"] == order
        assert model.described["limits"] == [member["architecture"][order[0]]["threshold"]]
        assert model.described["costs"] == {name: member["final"][name] for name in ("flops", "params")}
        assert model.described["metrics"] == {"validation": member["final"], "test": member["test"]}
        assert model.described["objectives"]["top1_error"] == 100 - member["final"]["top1"]
        assert model.described["objectives"]["flops"] == member["final"]["flops"]
        for split, key in (("validation", "final"), ("test", "test")):
            shares = assert_measured(model, joint_runs, "joint/seed_0", split, member[key])
            measured = [member[key][f"{name}_answered"] for name in order]
            np.testing.assert_allclose(shares, measured, atol=rounding(450))
        for name, stage in zip(order, model.members, strict=True):
            config = {k: v for k, v in member["architecture"][name].items() if k not in ("position", "threshold")}
            assert stage.described["architecture"] == config
            assert stage.described["source"]["supernet"] == name
            assert stage.described["costs"]["flops"] == member["final"][f"{name}_flops"]
            assert stage.described["metrics"]["test"]["top1"] == 100 - member["test"][f"{name}_error"]


def test_cascades_of_a_joint_runs_networks_are_what_the_run_measured(joint_runs, monkeypatch):
    monkeypatch.chdir(joint_runs)
    index = longest(joint_runs / "encas")
    member = front(joint_runs / "encas")[index]
    model = found_model(joint_runs, "encas", index)
    assert len(model.members) == len(member["architecture"]["networks"]) > 1
    assert_measured(model, joint_runs, "encas", "test", member["test"])
    for name, stage in zip(member["architecture"]["networks"], model.members, strict=True):
        assert name.split("/")[1] == stage.described["source"]["supernet"]


def test_architectures_of_a_joint_run(joint_runs, monkeypatch):
    """A cascade that is on no front, and a network of one of the supernets."""
    architecture = dict(front(joint_runs / "joint/seed_0")[0]["architecture"])
    (first, second) = architecture
    changed = {**architecture, first: {**architecture[first], "threshold": 0.4, "position": 1}}
    changed[second] = {**architecture[second], "position": 0}
    model = found_model(joint_runs, "joint/seed_0", changed)
    assert model.described["networks"] == [first, second] and model.described["limits"] == [0.4]
    dataset = find_source(**asked(run=joint_runs / "joint/seed_0"), given=given(joint_runs)).dataset()
    assert dataset is not None
    images = torch.from_numpy(dataset.split("test").pixels[:]).float() / 255
    with torch.no_grad():
        confidences = model.members[0].ready(images).softmax(dim=1).amax(dim=1)
    assert model.ready(images).stages.tolist() == (confidences <= 0.4).long().tolist()
    own = {key: value for key, value in architecture[first].items() if key not in ("position", "threshold")}
    network = found_model(joint_runs, "joint/seed_0", {**own, "supernet": first})
    assert network.network is not None and network.described["architecture"] == own
    with pytest.raises(UserError, match="unknown supernet 'large'"):
        found_model(joint_runs, "joint/seed_0", {**own, "supernet": "large"})
    with pytest.raises(UserError, match="a cascade of this space has one network of each of tiny, tiny_wide"):
        found_model(joint_runs, "joint/seed_0", own)
    monkeypatch.setenv("NAS_CACHE", str(joint_runs / "cache"))
    assert nas.load(joint_runs / "joint/seed_0")(torch.rand(3, 3, 8, 8)).probabilities.shape == (3, 10)


def test_outputs_alone_make_no_network(tmp_path, monkeypatch):
    write_pool(tmp_path / "models")
    words = ("pool=files", "pool.folders=[models]", "dataset=none", "tracker=csv", "device=cpu", "paths.cache=cache")
    launched(tmp_path, *words, "algorithm=encas", "optimizer.evaluations=200", "paths.run=run")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="whose networks are unknown"):
        found_model(tmp_path, "run", 0)


@pytest.mark.parametrize(
    ("name", "arch", "message"),
    [
        ("encas", 999, "arch=999 is no member of the front"),
        ("encas", -1, "arch=-1 is no member of the front"),
        ("encas", {"r": 8}, "evaluated no networks"),
        ("nowhere", 0, "no folder that exists"),
    ],
)
def test_what_is_not_there_is_said(runs, name, arch, message):
    with pytest.raises(UserError, match=message):
        found_model(runs, name, arch)


@pytest.mark.slow
def test_weights_of_supernets_that_are_trained_once_are_known_again(tmp_path, monkeypatch, caplog):
    words = (
        *("algorithm=encas_joint", "supernet=[tiny,tiny_wide]", "tracker=csv", "device=cpu", "paths.cache=cache"),
        *("dataset.resolutions=[8]", "algorithm.n_doe=8", "algorithm.iterations=0", "algorithm.reevaluate=false"),
        *("training@training.member=supernet", "training.member.epochs=1", "training.member.warmup_epochs=0"),
        *("evaluator.networks.recalibration_images=64", "paths.run=run"),
    )
    launched(tmp_path, *words)
    monkeypatch.chdir(tmp_path)
    found_model(tmp_path, "run", "best")
    assert "the weights are not those" not in caplog.text
