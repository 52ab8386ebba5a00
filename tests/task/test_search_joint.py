"""A search over several supernets, from its command line to the front, and on to cascades of what it leaves."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import nas
from nas.errors import RunError
from nas.pool.model import from_logits
from nas.pool.runs import RunsPool
from nas.training import checkpoint
from tests.pool.pools import silent
from tests.rounding import rounding

Launch = Callable[..., tuple[int, str, str]]
RUN = "joint/seed_0"
NAMES = ("tiny", "tiny_wide")


@pytest.fixture(scope="module")
def place(joint_runs: Path) -> Path:
    return joint_runs


def front(run: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((run / "front.json").read_text())["front"]
    return found


def test_the_front_is_measured_with_the_weights_that_the_search_leaves(place: Path) -> None:
    members = front(place / RUN)
    assert members
    for member in members:
        for key in ("metrics", "final", "test"):
            for name in NAMES:
                assert {f"{name}_error", f"{name}_flops", f"{name}_answered"} <= set(member[key])
        assert list(member["architecture"]) == list(NAMES)
        assert list(member["objectives"]) == ["top1_error", "flops", "params"]
        assert member["objectives"]["flops"] == member["metrics"]["flops"]
        assert member["final"]["params"] == member["objectives"]["params"]
    assert any(member["final"] != member["metrics"] for member in members)
    for name in NAMES:
        assert checkpoint.load(place / RUN / "supernets" / name / "weights" / "final.pt") is not None
    rows = list(csv.DictReader((place / RUN / "metrics.csv").read_text().splitlines()))
    assert rows[2].keys() >= {"rho_flops", "rho_tiny_error", "rho_tiny_wide_error"}
    assert yaml.safe_load((place / RUN / "config.yaml").read_text())["supernet"]["members"].keys() == set(NAMES)


def pool(place: Path, cache: Path | None = None) -> RunsPool:
    return RunsPool(runs=(place / RUN,), workers=1, device="cpu", cache=cache or place / "cache")


def test_the_fronts_of_its_supernets_are_a_pool(place: Path) -> None:
    found = pool(place)
    found.prepare(silent)
    records = [json.loads(line) for line in (place / RUN / "archive.jsonl").read_text().splitlines()]
    entries = [record for record in records if "metrics" in record]
    assert set(found.groups) == {f"seed_0/{name}" for name in NAMES}
    for name in NAMES:
        newest = {}
        for entry in entries:
            config = {k: v for k, v in entry["config"][name].items() if k not in ("position", "threshold")}
            key = json.dumps(config, sort_keys=True)
            newest[key] = (entry["metrics"][f"{name}_error"], entry["metrics"][f"{name}_flops"], config)
        values = list(newest.values())
        best = [a for a in values if not any(b[:2] != a[:2] and b[0] <= a[0] and b[1] <= a[1] for b in values)]
        expected = sorted(best, key=lambda each: each[:2])
        own = [i for i, group in enumerate(found.groups) if group == f"seed_0/{name}"]
        assert [found.costs["flops"][i] for i in own] == [flops for _, flops, _ in expected]
        architectures = [
            {key: value for key, value in found.architectures[i].items() if key not in ("run", "supernet")} for i in own
        ]
        assert sorted(map(str, architectures)) == sorted(str(config) for _, _, config in expected)


def test_networks_answer_as_they_did_when_the_run_measured_its_front(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors are counted in one way, from logits, so that they are equal and not nearly equal."""
    seen: list[Any] = []
    monkeypatch.setattr("nas.pool.runs.from_logits", lambda logits: seen.append(logits) or from_logits(logits))
    found = pool(place, tmp_path)
    found.prepare(silent)
    known = 0
    for i, architecture in enumerate(found.architectures):
        name = architecture["supernet"]
        own = {key: value for key, value in architecture.items() if key not in ("run", "supernet")}
        for member in front(place / RUN):
            config = {k: v for k, v in member["architecture"][name].items() if k not in ("position", "threshold")}
            for split, key, logits in (("validation", "final", seen[2 * i]), ("test", "test", seen[2 * i + 1])):
                if config == own:
                    known += 1
                    labels = found.outputs(split).labels  # type: ignore[arg-type]
                    error = 100 * float((logits.argmax(axis=1) != labels).mean())
                    assert error == pytest.approx(member[key][f"{name}_error"], abs=1e-9)
    assert known


def test_weights_that_changed_are_noticed(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / RUN, tmp_path / "run")
    path = tmp_path / "run" / "supernets" / "tiny_wide" / "weights" / "final.pt"
    stored = checkpoint.load(path)
    assert stored is not None
    changed = {name: tensor * -1 if "classifier" in name else tensor for name, tensor in stored["weights"].items()}
    checkpoint.save(path, {"weights": changed})
    with pytest.raises(RunError, match="weights, data or code have changed since"):
        RunsPool(runs=(tmp_path / "run",), workers=1, device="cpu", cache=tmp_path / "cache").prepare(silent)


def test_encas_makes_cascades_of_what_the_run_leaves(place: Path) -> None:
    members = front(place / "encas")
    names = {name.split("/")[1] for member in members for name in member["architecture"]["networks"]}
    assert names <= set(NAMES)
    single = min(member["final"]["top1"] for member in front(place / RUN))
    assert max(member["metrics"]["top1"] for member in members) >= single


@pytest.mark.parametrize("run", [RUN, "encas"])
def test_from_the_front_to_models(launch: Launch, place: Path, tmp_path: Path, run: str) -> None:
    """Of the run itself, and of cascades that ENCAS makes of its networks."""
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    words = (f"run={run}", "paths.cache=cache", "device=cpu")
    code, out, err = launch("task=select", *words, "n=1", "save=models")
    assert code == 0, err
    assert "cascade-flops@" in out
    member = front(tmp_path / run)[0]
    for split, key in (("validation", "final" if "final" in member else "metrics"), ("test", "test")):
        code, _, err = launch("task=validate", *words, "arch=0", f"split={split}", f"save={split}")
        assert code == 0, err
        found = json.loads((tmp_path / split / "results.json").read_text())
        assert found["metrics"]["top1"] == pytest.approx(member[key]["top1"], abs=rounding(450))
        assert found["costs"]["flops"] == pytest.approx(member[key]["flops"], rel=0.02)
        assert found["costs"]["params"] == member[key]["params"]
    images = torch.rand(2, 3, 8, 8)
    for folder in (tmp_path / "models").iterdir():
        assert nas.load(folder)(images).predictions.shape == (2,)
        assert nas.load(folder / "network_1")(images).shape == (2, 10)
        code, _, err = launch("task=finetune", f"model={folder}", "paths.cache=cache", "device=cpu")
        assert code == 2 and "is a cascade, which cannot be trained further: name one of its networks" in err


@pytest.mark.slow
@pytest.mark.parametrize("run", [RUN, "encas"])
def test_exported(launch: Launch, place: Path, tmp_path: Path, run: str) -> None:
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    words = (f"run={run}", "arch=0", "paths.cache=cache", "device=cpu", "format=torchscript", "path=model.torchscript")
    code, out, err = launch("task=export", *words, "task.images=20", "task.repeats=1", "task.warmup=0")
    assert code == 0, err
    assert "on 20 test images the same answers" in out and (tmp_path / "model.torchscript").is_file()
    part = json.loads((tmp_path / RUN / "front.json").read_text())["front"][0]["architecture"]
    own = {key: value for key, value in part["tiny"].items() if key not in ("position", "threshold")}
    words = (f"run={RUN}", f"arch={json.dumps(own | {'supernet': 'tiny'})}", "finetuning.teacher=supernet")
    code, _, err = launch("task=finetune", *words, "paths.cache=cache", "device=cpu", "finetuning.distillation=1")
    assert code == 2 and "the run has several supernets, tiny, tiny_wide; name the folder of a model" in err
