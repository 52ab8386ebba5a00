"""``task=estimate`` from the command line."""

import json
from typing import Any

import pytest

from nas.cli.scale import SHELVES
from tests.marks import slow_but

WRONG = {
    "no sweep": ([], "error: sweep must be given: add sweep=VALUE to the command line"),
    "unknown sweep": (["sweep=nat_cifar11"], "error: unknown sweep 'nat_cifar11'; did you mean 'nat_cifar10'?"),
    "elsewhere": (["sweep=other/nat_cifar10"], "error: unknown sweep 'other/nat_cifar10'"),
    "the sweep's key": (["sweep=nat_cifar10", "algorithm.n_itr=3"], "did you mean 'algorithm.n_iter'?"),
    "the sweep's value": (["sweep=nat_cifar10", "algorithm.n_iter=x"], "algorithm.n_iter='x' is wrong"),
    "the task's key": (["sweep=nat_cifar10", "task.image=3"], "did you mean 'task.images'?"),
    "the task's value": (["sweep=nat_cifar10", "task.images=0"], "task.images=0 is wrong: it should be greater than 0"),
    "json": (["sweep=nat_cifar10", "json=maybe"], "json='maybe' is wrong"),
    "-m": (["sweep=nat_cifar10", "-m"], "write sweep=NAME instead of -cd, -cn and -m"),
    "-cn": (["-cn", "nat_cifar10"], "write sweep=NAME instead of -cd, -cn and -m"),
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
