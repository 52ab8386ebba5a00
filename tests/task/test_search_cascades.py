"""Searches for cascades from the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nas.cascade.source import PooledCascades
from nas.pareto import hypervolume
from tests.cascades import write_pool

ROOT = Path(__file__).parent.parent.parent
POOL = ("pool=files", "pool.folders=[models]", "dataset=none", "tracker=csv", "paths.cache=cache")
ENCAS = ("algorithm=encas", "optimizer.evaluations=1500")


def front(folder):
    return json.loads((folder / "front.json").read_text())


def test_a_search_writes_what_every_search_writes(launch, tmp_path):
    write_pool(tmp_path / "models")
    code, out, err = launch(*POOL, *ENCAS, "paths.run=run")
    assert code == 0, err
    assert "Front: " in out
    found = front(tmp_path / "run")
    assert [objective["name"] for objective in found["objectives"]] == ["top1_error", "flops"]
    best = found["front"][0]
    assert (
        set(best["architecture"]) == {"networks", "thresholds"} and "models/net" in best["architecture"]["networks"][0]
    )
    assert {"top1", "flops", "answered_1", "kept"} <= set(best["test"])
    assert f"Front: {len(found['front'])} cascades\n" in out
    assert "hypervolume.png" not in out and not (tmp_path / "run" / "hypervolume.png").exists()
    for name in ("front.png", "metrics.csv", "archive.jsonl", "iter_0.stats"):
        assert (tmp_path / "run" / name).exists()
    assert found["reference_point"] == pytest.approx([80.0, 1.01 * 5 * 100])  # 5 classes, networks of 10 to 100 M
    assert found["ideal_point"] == [0.0, 10.0]
    assert (found["box_rule"], found["images"]) == ("space", {"validation": 100, "test": 100})
    assert "% on 100 validation images, " in out and "% on 100 test images" in out
    before = (tmp_path / "run" / "archive.jsonl").read_bytes()
    code, out, err = launch(*POOL, *ENCAS, "paths.run=run")
    assert code == 0 and "finished" in out, err
    assert (tmp_path / "run" / "archive.jsonl").read_bytes() == before


@pytest.mark.slow
def test_constraints_hold_for_every_method(launch, tmp_path):
    write_pool(tmp_path / "models", k=30)
    runs = {
        "encas": ENCAS,
        "sampled": (*ENCAS, "optimizer=random"),
        "random": ("space=cascade", "algorithm=random", "algorithm.n_doe=20", "algorithm.iterations=1"),
        "ensemble": (*ENCAS, "space.search_goal=ensemble"),
    }
    for name, words in runs.items():
        code, _, err = launch(*POOL, *words, "constraints.flops.max=60", f"paths.run={name}")
        assert code == 0, err
        costs = [member["objectives"]["flops"] for member in front(tmp_path / name)["front"]]
        assert len(costs) > 1 and max(costs) <= 60 + 1e-9


def test_cascades_by_latency(launch, tmp_path):
    """Latencies fall where multiply-adds rise, so that the two cannot be taken for each other."""
    write_pool(tmp_path / "models", k=12)
    listed = tmp_path / "models" / "models.json"
    rows = json.loads(listed.read_text())
    latencies = {f"models/{row['name']}": 500.0 / row["flops"] for row in rows}
    listed.write_text(json.dumps([row | {"latency": latencies[f"models/{row['name']}"]} for row in rows]))
    words = (*POOL, *ENCAS, "sec_obj=latency", "paths.run=run")
    code, _, err = launch(*words)
    assert code == 0, err
    found = front(tmp_path / "run")
    assert [objective["name"] for objective in found["objectives"]] == ["top1_error", "latency"]
    for member in found["front"]:
        asked = [latencies[name] for name in member["architecture"]["networks"]]
        shares = [member["metrics"][f"answered_{i}"] for i in range(1, len(asked) + 1)]
        reached = 1 - np.concatenate([[0.0], np.cumsum(shares[:-1])]) / 100  # the share that asks each network
        assert member["objectives"]["latency"] == pytest.approx(float(np.dot(reached, asked)))


def test_mo_gomea_finds_more_than_random_search_with_its_budget(launch, tmp_path):
    write_pool(tmp_path / "models", k=30)
    reached = []
    for name, words in (("encas", ()), ("sampled", ("optimizer=random",))):
        code, _, err = launch(*POOL, "algorithm=encas", *words, "optimizer.evaluations=30000", f"paths.run={name}")
        assert code == 0, err
        found = [list(member["objectives"].values()) for member in front(tmp_path / name)["front"]]
        reached.append(hypervolume(np.array(found), np.array([100.0, 150.0])))
    assert reached[0] > reached[1] + 0.002


def test_greedy(launch, tmp_path):
    write_pool(tmp_path / "models")
    code, _, err = launch(*POOL, "algorithm=greedy", "paths.run=run")
    assert code == 0, err
    found = front(tmp_path / "run")
    assert 1 <= found["evaluations"] <= 42
    assert found["reference_point"] == pytest.approx([80.0, 505.0])  # ENCAS's
    assert all(set(member["architecture"]) == {"networks", "gaps"} for member in found["front"])


def test_greedy_keeps_constraints(launch, tmp_path):
    """Those that break them are left out; the others are those of a run without constraints."""
    write_pool(tmp_path / "models")
    costs = {}
    for name, words in (("free", ()), ("bound", ("constraints.flops.max=40",))):
        code, _, err = launch(*POOL, "algorithm=greedy", *words, f"paths.run={name}")
        assert code == 0, err
        stats = json.loads((tmp_path / name / "iter_0.stats").read_text())
        costs[name] = sorted(row[2] for row in stats["archive"])
    assert max(costs["free"]) > 40
    assert costs["bound"] == [cost for cost in costs["free"] if cost <= 40] != []
    code, _, err = launch(*POOL, "algorithm=greedy", "constraints.flops.min=99.9", "paths.run=none")
    assert code == 1
    assert "none of GreedyCascade's" in err and "cascades keeps the constraints: choose wider ones" in err


class Killed(BaseException):
    """What no handler of errors catches."""


@pytest.mark.slow
@pytest.mark.parametrize("when", [0, 1, 5, 20, 21])
def test_a_search_that_dies_ends_the_same(when, launch, tmp_path, monkeypatch):
    """Die at an evaluation: the first, in the search, of the archived front, and on the test images."""
    write_pool(tmp_path / "models")
    words = (*POOL, "algorithm=encas", "optimizer.evaluations=1500")
    evaluated = 0
    original = PooledCascades._evaluate

    def counting(self, genomes, split):
        nonlocal evaluated
        evaluated += 1
        if evaluated == wanted:
            raise Killed
        return original(self, genomes, split)

    wanted = 0
    monkeypatch.setattr(PooledCascades, "_evaluate", counting)
    assert launch(*words, "paths.run=whole")[0] == 0
    wanted, evaluated = (1 + when if when < 20 else evaluated - (21 - when)), 0
    with pytest.raises(Killed):
        launch(*words, "paths.run=killed")
    assert evaluated == wanted
    wanted = 0
    code, _, err = launch(*words, "paths.run=killed")
    assert code == 0, err
    for name in ("archive.jsonl", "front.json", "iter_0.stats"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("algorithm=encas", "pool=none", "~pool.folders"), "choose pool=runs, pool=timm or pool=files"),
        (("algorithm=encas", "space=supernet", "supernet=tiny", "evaluator=subnet", "dataset=digits", "pool=none",
          "~pool.folders"), "needs an evaluator that knows all results"),
        (("algorithm=greedy", "space=cascade"), "choose space=gap_cascade"),
        (("algorithm=encas", "sec_obj=latency"), "needs exact costs; latency is measured"),
        (("algorithm=encas", "sec_obj=params"), "does not know params of all its networks; it knows flops"),
        (("algorithm=encas", "constraints.flops.max=1"), "no architecture found within constraints.flops.max=1"),
        (("algorithm=encas", "space.size=0"), "space.size=0 is wrong"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said_in_one_line(words, message, launch, tmp_path):
    write_pool(tmp_path / "models")
    base = [
        word
        for word in POOL
        if f"{word.partition('=')[0]}=" not in " ".join(words) and f"~{word.partition('=')[0]}" not in words
    ]
    code, _, err = launch(*base, *[word for word in words if not word.startswith("~")], "paths.run=run")
    assert code == 2
    assert message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("algorithm=greedy", "space=cascade"), "choose space=gap_cascade"),
        (
            ("algorithm=encas", "constraints.flops.min=2", "constraints.flops.max=1"),
            "is more than constraints.flops.max",
        ),
        (("algorithm=encas", "reference_point=[100]"), "reference_point has 1 values"),
    ],
)
def test_settings_are_checked_before_outputs_are_stored(words, message, launch, tmp_path):
    write_pool(tmp_path / "models")
    code, _, err = launch(*POOL, *words, "paths.run=run")
    assert code == 2 and message in err
    assert not (tmp_path / "cache" / "outputs").exists() and not (tmp_path / "run").exists()


@pytest.mark.slow
def test_kill_9_and_resume(tmp_path):
    """Killed while it stores outputs, and while it searches; the archive is that of a run that was not killed."""
    write_pool(tmp_path / "models", n=4000, k=20)
    command = [sys.executable, str(ROOT / "launch.py"), *POOL, "algorithm=encas", "optimizer.evaluations=60000"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "paths.run=whole"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    again = [*command, "paths.run=killed", "paths.cache=other"]
    for sign, pause in [
        ("other/outputs/*/record.json", 0.0),  # one model's outputs are stored
        ("other/outputs/pools/*/validation/record.json", 0.0),
        ("killed/status.json", 0.0),
        ("killed/status.json", 0.3),
        ("killed/status.json", 0.6),
    ]:
        process = subprocess.Popen(again, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
        while process.poll() is None and not list(tmp_path.glob(sign)):
            time.sleep(0.01)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(again, cwd=tmp_path, env=environment, check=True, capture_output=True)
    for name in ("archive.jsonl", "front.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.slow
def test_two_runs_become_cascades(launch, tmp_path):
    """Two supernets of different sizes on digits, their fronts as a pool, and cascades of both."""
    small = ("tracker=csv", "paths.cache=cache", "algorithm.n_doe=30", "algorithm.iterations=1", "algorithm.n_iter=4",
             "evaluator.recalibration_images=64", "training.epochs=4")  # fmt: skip
    for name, words in (("one", ()), ("two", ("supernet.stage_widths=[8,12,16]", "supernet.seed=1"))):
        code, _, err = launch(*small, *words, f"paths.run={name}")
        assert code == 0, err
    pool = ("pool=runs", "pool.runs=[one,two]", "dataset=none", "tracker=csv", "paths.cache=cache")
    code, _, err = launch(*pool, "algorithm=encas", "optimizer.evaluations=20000", "paths.run=cascades")
    assert code == 0, err
    cascades = front(tmp_path / "cascades")["front"]
    points = np.array([list(member["objectives"].values()) for member in cascades])
    groups = {name.split("/")[0] for member in cascades for name in member["architecture"]["networks"]}
    assert groups == {"one", "two"}
    for run in ("one", "two"):
        for member in front(tmp_path / run)["front"]:
            alone = np.array(list(member["objectives"].values()))
            assert (points <= alone + np.array([0.5, 1e-6])).all(axis=1).any()  # outputs are in half precision
