import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from nas.cli import main as cli
from nas.dataset.base import Images
from nas.dataset.digits import Digits
from nas.errors import UserError
from nas.evaluator.cascade_module import Cascade, GapCascade
from nas.pool.cascades import cascade_of, pool_of
from nas.pool.stored_parts import part_from
from tests.cascades import write_pool
from tests.pool.pools import silent
from tests.pool.test_runs import CONF, run
from tests.sealing import change

POOL = ("pool=runs", "pool.runs=[alone]", "dataset=none", "tracker=csv", "device=cpu", "paths.cache=cache")


def search(folder: Path, name: str, *words: str) -> Path:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["launch.py", *words, f"paths.run={name}"])
        patch.setattr(cli, "_exit_codes", [])
        cli.main(CONF)
    assert not stop.value.code
    return folder / name


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A run, and cascades, ensembles and GreedyCascade's cascades of the networks on its front."""
    folder = tmp_path_factory.mktemp("cascades")
    run(folder, "alone", "algorithm.iterations=1", "algorithm.n_iter=4")
    encas = ("algorithm=encas", "optimizer.evaluations=2000")
    search(folder, "encas", *POOL, *encas)
    search(folder, "ensemble", *POOL, *encas, "space.search_goal=ensemble")
    search(folder, "greedy", *POOL, "algorithm=greedy")
    return folder


def front(folder: Path) -> list[dict]:
    return json.loads((folder / "front.json").read_text())["front"]


def longest(folder: Path) -> int:
    return int(np.argmax([len(member["architecture"]["networks"]) for member in front(folder)]))


@pytest.mark.parametrize(("name", "kind"), [("encas", Cascade), ("ensemble", Cascade), ("greedy", GapCascade)])
def test_a_member_of_the_front_is_what_the_run_measured(place, name, kind, monkeypatch):
    monkeypatch.chdir(place)
    folder, index = place / name, longest(place / name)
    member = front(folder)[index]
    assert len(member["architecture"]["networks"]) > 1
    cascade = cascade_of(folder, index, device="cpu", cache=place / "cache", progress=silent)
    assert isinstance(cascade, kind) and not cascade.training
    images = images_of(place)
    routed = cascade(torch.from_numpy(images.pixels[:]).float() / 255)
    n = len(images)
    assert 100 * float((routed.predictions.numpy() == images.labels).mean()) == pytest.approx(
        member["test"]["top1"], abs=100.01 / n
    )
    shares = [100 * float((routed.stages == stage).float().mean()) for stage in range(len(cascade.networks))]
    measured = [member["test"][f"answered_{stage + 1}"] for stage in range(len(cascade.networks))]
    np.testing.assert_allclose(shares, measured, atol=200.01 / n)  # outputs are stored in half precision
    assert float(routed.costs.mean()) == pytest.approx(member["test"]["flops"], rel=0.02)


def images_of(place: Path) -> Images:
    """Return the test images of the run."""
    path = place / "alone" / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    return part_from(settings, "dataset", Digits, {"cache": place / "cache"}, path).split("test")


def test_a_changed_pool_is_refused(place, monkeypatch):
    monkeypatch.chdir(place)
    path = place / "encas" / "run.json"
    known = path.read_text()
    change(path, fingerprints=json.loads(known)["fingerprints"] | {"space": "0" * 64})
    try:
        with pytest.raises(UserError, match="is not what it was: weights, data, code, torch or the kind of device"):
            pool_of(place / "encas", device="cpu", cache=place / "cache", progress=silent)
    finally:
        path.write_text(known)


@pytest.mark.parametrize(
    ("name", "member", "message"),
    [
        ("encas", 999, "members, 0 to .*; there is no 999"),
        ("encas", -1, "there is no -1"),
        ("alone", 0, "searched no cascades"),
        ("nowhere", 0, "holds no finished run"),
    ],
)
def test_what_is_not_there_is_said(place, name, member, message):
    with pytest.raises(UserError, match=message):
        cascade_of(place / name, member, device="cpu", cache=place / "cache", progress=silent)


def test_outputs_alone_make_no_network(tmp_path, monkeypatch):
    write_pool(tmp_path / "models")
    words = ("pool=files", "pool.folders=[models]", "dataset=none", "tracker=csv", "device=cpu", "paths.cache=cache")
    folder = search(tmp_path, "run", *words, "algorithm=encas", "optimizer.evaluations=200")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no network of models/net\d, only outputs that somebody else made"):
        cascade_of(folder, 0, device="cpu", cache=tmp_path / "cache", progress=silent)
