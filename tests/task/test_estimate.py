import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from nas.errors import RunError, UserError
from nas.run.folder import RunFolder
from nas.targets import NO_OTHERS
from nas.task import estimate
from nas.task.estimate import EstimateTask
from nas.task.forecast import Forecast

ONE = Forecast(
    evaluations=340,
    seconds={"train": 3600.0, "search": 900.0, "evaluate": 2600.0, "conclude": 100.0},
    disk={"archive": 1000, "stats": 2000, "weights": 0, "outputs": 0},
    first={"a.pt": 1800.0},
    first_bytes={"a.pt": 500},
    processes=1,
    device="cpu",
    hardware="abacus",
)


def experiment(folder: Any, **pool: Any) -> Any:
    return SimpleNamespace(
        choices={"task": "search", "pool": pool.pop("choice", "none")},
        resolved={"pool": pool},
        settings=SimpleNamespace(device="cpu"),
        allowed=NO_OTHERS,
        paths=SimpleNamespace(run=folder, cache=folder / "cache"),
        device="cpu",
    )


@pytest.fixture
def task(monkeypatch, tmp_path):
    """Return what an estimate prints; runs in folders that are there are finished."""
    monkeypatch.setattr(RunFolder, "is_finished", lambda self: self.path.exists())
    measured: list[Any] = []

    def fake(chosen: Any, pool: Any) -> Forecast:
        measured.append((chosen, pool))
        return replace(ONE, processes=2) if chosen.paths.run.name == "pair" else ONE

    monkeypatch.setattr(estimate, "forecast", fake)

    def make(planned: Any, launcher: Any = None, json: bool = False) -> EstimateTask:
        made = EstimateTask(
            experiment=experiment(tmp_path),
            planned=planned,
            launcher=launcher or {},
            sweep="x",
            json=json,
            networks=40,
            images=1000,
            classes=10,
        )
        made.check()
        return made

    make.measured = measured
    return make


def test_one_run_of_each_kind_is_measured_and_what_they_share_counts_once(task, tmp_path):
    (tmp_path / "done").mkdir()
    planned = {
        "algorithm=nat": [experiment(tmp_path / "done"), experiment(tmp_path / "b"), experiment(tmp_path / "c")],
        "algorithm=random": [experiment(tmp_path / "pair")],
    }
    header, nat, random, first, total, last = task(planned).run().splitlines()
    assert header.split() == ["run", "runs", "done", "evaluations", "disk", "hours", "a", "run", "CPU", "hours"]
    assert nat.split() == ["algorithm=nat", "3", "1", "680", "6", "kB", "2", "4"]
    assert random.split() == ["algorithm=random", "1", "0", "340", "3", "kB", "2", "4"]
    assert first.split() == ["first", "training", "of", "1", "supernet", "500", "B", "0.5"]
    assert total.split() == ["total", "4", "1", "1020", "9.5", "kB", "8.5"]
    assert last == "measured on cpu, abacus"
    assert [each.paths.run.name for each, _ in task.measured] == ["b", "pair"]


def test_finished_runs_take_nothing_and_are_not_measured(task, tmp_path):
    found = json.loads(task({"x": [experiment(tmp_path)] * 3}, json=True).run())
    assert found["total"] == {"runs": 3, "done": 3, "evaluations": 0, "disk": 0, "hours": 0}
    assert found["kinds"][0]["one_run"] is None
    assert task.measured == []


@pytest.mark.parametrize(
    ("minutes", "requeues", "end"),
    [
        (60, 20, "it needs 3 jobs and goes on in each"),
        (60, 1, "it needs 3 jobs and ends after 2, unfinished (hydra.launcher.max_num_timeout)"),
        (151, 0, None),
    ],
)
def test_a_time_limit_that_is_too_small(minutes, requeues, end, task, tmp_path):
    launcher = {"timeout_min": minutes, "max_num_timeout": requeues}
    lines = task({"x": [experiment(tmp_path / "a")]}, launcher).run().splitlines()
    warnings = [line for line in lines if line.startswith("warning")]
    expected = (
        f"warning: one run of x takes about 2.5 h, a job at most 1 h (hydra.launcher.timeout_min={minutes}): {end}"
    )
    assert warnings == ([expected] if end else [])


def test_pools_of_runs_that_do_not_exist_are_made_up_and_shared_by_kinds(task, tmp_path):
    kinds = {
        name: [
            experiment(tmp_path / f"{name}{seed}", choice="runs", runs=[f"nat_{seed}", f"ofa_{seed}"])
            for seed in (0, 1)
        ]
        for name in ("encas", "greedy")
    }
    subject = task(kinds, json=True)
    found = json.loads(subject.run())
    pool = task.measured[0][1]
    assert (len(pool.names), pool.images, pool.n_classes) == (80, 1000, 10)
    assert found["kinds"][0]["notes"] == [
        "2 of 2 runs of the pool do not exist yet: taken for 40 networks, 1000 images, 10 classes each"
    ]
    assert found["kinds"][0]["disk"] == 2 * 3000 + 2 * pool.stored_bytes
    assert found["total"]["disk"] == 4 * 3000 + 500 + 2 * pool.stored_bytes  # a pool for each seed


@pytest.mark.slow
def test_pools_of_runs_that_exist_are_as_large_as_these(task, tmp_path, runs):
    folder = runs / "alone"
    kind = [experiment(tmp_path / "a", choice="runs", runs=[str(folder), "absent"])]
    found = json.loads(task({"x": kind}, json=True).run())
    pool = task.measured[0][1]
    front = len(RunFolder(folder).front()["front"])
    assert len(pool.names) == front + 40
    assert pool.n_classes == 10
    assert found["kinds"][0]["notes"] == ["1 of 2 runs of the pool do not exist yet: taken for 40 networks each"]


def test_what_is_no_search_is_refused(task, tmp_path):
    other = experiment(tmp_path)
    other.choices["task"] = "finetune"
    with pytest.raises(UserError, match="x is no search but task=finetune, which cannot be estimated"):
        task({"x": [other]})


def test_a_network_that_does_not_fit_is_named_in_one_line(task, tmp_path, monkeypatch):
    def fails(*_: Any) -> Forecast:
        raise RuntimeError("CUDA out of memory.\nTried to allocate 3 GiB")

    monkeypatch.setattr(estimate, "forecast", fails)
    with pytest.raises(RunError, match=r"^x cannot be measured: CUDA out of memory. Tried to allocate 3 GiB$"):
        task({"x": [experiment(tmp_path / "a")]}).run()
