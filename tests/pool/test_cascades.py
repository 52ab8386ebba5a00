import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from nas.dataset.base import Images
from nas.dataset.digits import Digits
from nas.errors import UserError
from nas.evaluator.cascade_module import Cascade, GapCascade
from nas.pool.cascades import cascade_of, pool_of
from nas.pool.stored_parts import part_from
from tests.cascades import write_pool
from tests.pool.pools import silent
from tests.sealing import change
from tests.small_runs import launched


def front(folder: Path) -> list[dict]:
    return json.loads((folder / "front.json").read_text())["front"]


def longest(folder: Path) -> int:
    return int(np.argmax([len(member["architecture"]["networks"]) for member in front(folder)]))


@pytest.mark.parametrize(("name", "kind"), [("encas", Cascade), ("ensemble", Cascade), ("greedy", GapCascade)])
def test_a_member_of_the_front_is_what_the_run_measured(runs, name, kind, monkeypatch):
    monkeypatch.chdir(runs)
    folder, index = runs / name, longest(runs / name)
    member = front(folder)[index]
    assert len(member["architecture"]["networks"]) > 1
    cascade = cascade_of(folder, index, device="cpu", cache=runs / "cache", progress=silent)
    assert isinstance(cascade, kind) and not cascade.training
    images = images_of(runs)
    routed = cascade(torch.from_numpy(images.pixels[:]).float() / 255)
    n = len(images)
    assert 100 * float((routed.predictions.numpy() == images.labels).mean()) == pytest.approx(
        member["test"]["top1"], abs=100.01 / n
    )
    shares = [100 * float((routed.stages == stage).float().mean()) for stage in range(len(cascade.networks))]
    measured = [member["test"][f"answered_{stage + 1}"] for stage in range(len(cascade.networks))]
    np.testing.assert_allclose(shares, measured, atol=200.01 / n)  # outputs are stored in half precision
    assert float(routed.costs.mean()) == pytest.approx(member["test"]["flops"], rel=0.02)


def images_of(runs: Path) -> Images:
    """Return the test images of the run."""
    path = runs / "alone" / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    return part_from(settings, "dataset", Digits, {"cache": runs / "cache"}, path).split("test")


def test_a_changed_pool_is_refused(runs, tmp_path, monkeypatch):
    shutil.copytree(runs, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "encas" / "run.json"
    change(path, fingerprints=json.loads(path.read_text())["fingerprints"] | {"space": "0" * 64})
    with pytest.raises(UserError, match="is not what it was: weights, data, code, torch or the kind of device"):
        pool_of(tmp_path / "encas", device="cpu", cache=tmp_path / "cache", progress=silent)


@pytest.mark.parametrize(
    ("name", "member", "message"),
    [
        ("encas", 999, "members, 0 to .*; there is no 999"),
        ("encas", -1, "there is no -1"),
        ("alone", 0, "searched no cascades"),
        ("nowhere", 0, "holds no finished run"),
    ],
)
def test_what_is_not_there_is_said(runs, name, member, message):
    with pytest.raises(UserError, match=message):
        cascade_of(runs / name, member, device="cpu", cache=runs / "cache", progress=silent)


def test_outputs_alone_make_no_network(tmp_path, monkeypatch):
    write_pool(tmp_path / "models")
    words = ("pool=files", "pool.folders=[models]", "dataset=none", "tracker=csv", "device=cpu", "paths.cache=cache")
    launched(tmp_path, *words, "algorithm=encas", "optimizer.evaluations=200", "paths.run=run")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no network of models/net\d, only outputs that somebody else made"):
        cascade_of(tmp_path / "run", 0, device="cpu", cache=tmp_path / "cache", progress=silent)
