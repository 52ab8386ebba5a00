"""``task=estimate`` from the command line."""

import json
from typing import Any

import pytest

from nas.cli.command import SHELVES
from nas.sweep import SweepFolder
from nas.task.estimate import EstimateTask, Kind
from tests.marks import slow_but

WRONG = {
    "no sweep": ([], "error: which runs to estimate: either name a sweep (sweep=NAME, FILE or FOLDER), or add"),
    "unknown sweep": (["sweep=nat_cifar11"], "error: unknown sweep 'nat_cifar11'; did you mean 'nat_cifar10'?"),
    "elsewhere": (["sweep=other/nat_cifar10"], "error: unknown sweep 'other/nat_cifar10'"),
    "the sweep's key": (["sweep=nat_cifar10", "algorithm.n_itr=3"], "did you mean 'algorithm.n_iter'?"),
    "the sweep's value": (["sweep=nat_cifar10", "algorithm.n_iter=x"], "algorithm.n_iter='x' is wrong"),
    "the task's key": (["sweep=nat_cifar10", "task.image=3"], "did you mean 'task.images'?"),
    "the task's value": (["sweep=nat_cifar10", "task.images=0"], "task.images=0 is wrong: it should be greater than 0"),
    "json": (["sweep=nat_cifar10", "json=maybe"], "json='maybe' is wrong"),
    "-m": (["sweep=nat_cifar10", "-m"], "error: which runs to estimate: either name a sweep"),
    "-cn": (["-cn", "nat_cifar10"], "nat_cifar10"),
    "-m, wrong": (["-m", "algorithm=msunas,radnom"], "unknown choice for algorithm: 'radnom'; did you mean 'random'?"),
    "several": (["sweep=nat_cifar10,nat_cifar100"], "sweep=nat_cifar10,nat_cifar100 names several values"),
    "launcher": (["sweep=nat_cifar10", "hydra/launcher=slrum"], "did you mean 'slurm'?"),
    "launcher's value": (
        ["sweep=nat_cifar10", "hydra/launcher=slurm", "hydra.launcher.timeout_min=0"],
        "hydra.launcher.timeout_min=0 is wrong",
    ),
    "no images": (["sweep=nsganetv2_imagenet_flops", "dataset.path=nowhere"], "dataset.path: 'nowhere'"),
    "device": (["sweep=nat_cifar10", "device=gpu"], "device=gpu is unknown"),
}  # fmt: skip


@pytest.mark.parametrize("case", slow_but({"no sweep", "unknown sweep", "the task's key", "-m", "several"}, WRONG))
def test_a_mistake_is_one_line(case, launch, tmp_path):
    arguments, message = WRONG[case]
    code, out, err = launch("task=estimate", *arguments, *(["seed=0"] if case != "no sweep" else []))
    assert (code, out) == (2, ""), err
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_small_sweep_is_estimated_and_nothing_is_written(launch, tmp_path):
    words = ("scale=small", "experiment=nat_cifar10_alphanet", "seed=0,1,2", "algorithm.n_iter=24", "paths.cache=cache")
    slurm = ("hydra/launcher=slurm", "hydra.launcher.timeout_min=1", "training.epochs=2000")
    code, out, err = launch("task=estimate", f"sweep={SHELVES / 'nat_cifar10.yaml'}", *words, *slurm, "json=true")
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    assert [(kind["name"], kind["runs"], kind["evaluations"]) for kind in found["kinds"]] == [
        ("nat_cifar10", 3, 3 * (40 + 8 * 24))
    ]
    one = found["kinds"][0]["one_run"]
    assert all(seconds > 0 for seconds in one["seconds"].values())
    assert all(size > 0 for size in one["disk"].values())
    assert len(found["first"]) == 1
    (warning,) = found["warnings"]
    assert "a job at most 0.0167 h (hydra.launcher.timeout_min=1)" in warning
    assert list(tmp_path.iterdir()) == []


def test_cascades_of_runs_that_do_not_exist(launch, tmp_path):
    words = ("scale=small", "seed=0", "task.networks=4", "task.images=200", "paths.cache=cache")
    code, out, err = launch("task=estimate", "sweep=encas_cifar10_baselines", *words)
    assert code == 0, err
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[1:5]] == [
        "experiment=encas_5nets_greedy",
        "experiment=encas_5nets_random",
        "experiment=encas_5nets_ensemble",
        "total",
    ]
    assert [line.split()[3] for line in lines[1:4]] == ["120", "20000", "20000"]
    assert lines[5].startswith("measured on cpu, ")
    assert lines[6].endswith(
        "5 of 5 runs of the pool do not exist yet: taken for 4 networks, 200 images, 100 classes each"
    )
    assert list(tmp_path.iterdir()) == []


MINE = """
defaults:
  - config
  - _self_
hydra:
  sweeper:
    params:
      algorithm: random,msunas
      seed: range(2)
"""
BUDGET = ("algorithm.n_doe=60", "algorithm.iterations=1")


def planned(monkeypatch, launch, *words: str) -> list[tuple[str, int, int]]:
    """Return name, number of runs and architectures of the first step of each kind of run that would be measured."""
    seen: list[tuple[str, int, int]] = []

    def kind(self: Any, name: str, setups: Any) -> Kind:
        seen.append((name, len(setups), setups[0].resolved["algorithm"]["n_doe"]))
        return Kind(name, len(setups), len(setups), None, (), {})

    monkeypatch.setattr(EstimateTask, "_kind", kind)
    code, _, err = launch("task=estimate", *words)
    assert code == 0, err
    return seen


def test_runs_are_named_by_a_file_a_command_line_and_the_folder_of_a_sweep(launch, tmp_path, monkeypatch):
    (tmp_path / "my sweeps").mkdir()
    (tmp_path / "my sweeps" / "mine.yaml").write_text(MINE)
    both = [("algorithm=random", 2, 60), ("algorithm=msunas", 2, 60)]
    assert planned(monkeypatch, launch, "sweep='my sweeps/mine.yaml'", *BUDGET) == both
    assert planned(monkeypatch, launch, "-m", "algorithm=random,msunas", "seed=0,1", *BUDGET) == both
    command = {"config_dir": str(tmp_path / "my sweeps"), "config_name": "mine", "overrides": list(BUDGET)}
    SweepFolder(tmp_path / "outputs" / "sweeps" / "mine-81fa02").begin("local", [], command)
    assert planned(monkeypatch, launch, "sweep=mine-81fa02") == both
    assert planned(monkeypatch, launch, "sweep=outputs/sweeps/mine-81fa02", "algorithm.n_doe=70") == [
        (name, runs, 70) for name, runs, _ in both
    ]
