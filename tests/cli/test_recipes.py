"""Recipes beside other data sets, scales and parts than their own: nobody meets a key that nobody typed."""

import sys
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from nas.cli.check import check, without_hydra
from nas.cli.command import CommandLine
from nas.cli.compose import Job, compose_jobs
from nas.errors import UserError
from nas.task.search import SearchTask

ROOT = Path(__file__).parent.parent.parent
RECIPES = [path.stem for path in sorted((ROOT / "conf" / "experiment").glob("*.yaml"))]
ONE_OF_EACH_KIND = {
    *("demo", "msunas_paper", "nsganetv2_pets", "nsganetv2_cifar10_random", "nsganetv2_imagenet"),
    *("nat_cifar100_proxyless", "nat_imagenet_ofa_w10", "nat_reproduce_cifar10", "frozen_cifar10_alphanet"),
    *("encas_joint_cifar10_5nets", "encas_5nets", "encas_5nets_random", "encas_5nets_greedy", "encas_timm"),
    *("finetune_cifar10", "finetune_imagenet"),
}
FAMILIES = {  # one data set of each class, and what it needs
    "the recipe's": (),
    "none": ("dataset=none",),
    "digits": ("dataset=digits",),
    "imagefolder": ("dataset=imagefolder", "dataset.path=photos"),
    "class_folders": ("dataset=imagenet",),
    "imagenetv2": ("dataset=imagenetv2",),
    "torchvision_arrays": ("dataset=stl10",),
    "torchvision_files": ("dataset=pets",),
}


def composed(monkeypatch, *words: str) -> Job:
    """Return the one job of a command line whose settings are complete and right."""
    monkeypatch.setattr(sys, "argv", ["launch.py", *words])
    (job,) = compose_jobs(CommandLine.parsed(words)).jobs
    HydraConfig.instance().set_config(job.config)
    check(without_hydra(job.config))
    return job


def pairs(recipes):
    return [
        pytest.param(name, family, scale, id=f"{name}-{family}-{scale}")
        for name in recipes
        for family in FAMILIES
        for scale in ("full", "small")
    ]


def check_pair(monkeypatch, name, family, scale):
    composed(monkeypatch, f"experiment={name}", *FAMILIES[family], *(["scale=small"] if scale == "small" else []))


@pytest.mark.parametrize(
    ("name", "family", "scale"),
    [
        ("finetune_imagenet", "imagefolder", "full"),
        ("finetune_imagenet", "the recipe's", "small"),
        ("nat_cifar100_proxyless", "none", "full"),
    ],
)
def test_a_recipe_goes_with_another_data_set_or_scale(name, family, scale, monkeypatch):
    check_pair(monkeypatch, name, family, scale)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "family", "scale"), pairs(sorted(ONE_OF_EACH_KIND)))
def test_recipes_of_each_kind_go_with_every_data_set_and_scale(name, family, scale, monkeypatch):
    check_pair(monkeypatch, name, family, scale)


@pytest.mark.long
@pytest.mark.parametrize(("name", "family", "scale"), pairs(sorted(set(RECIPES) - ONE_OF_EACH_KIND)))
def test_every_recipe_goes_with_every_data_set_and_scale(name, family, scale, monkeypatch):
    check_pair(monkeypatch, name, family, scale)


def test_settings_of_a_data_set_are_those_of_the_recipes_own_alone(monkeypatch):
    own = composed(monkeypatch, "experiment=nat_cifar10_alphanet", "dataset=cifar10").config.dataset
    other = composed(monkeypatch, "experiment=nat_cifar10_alphanet", "dataset=stl10").config.dataset
    assert (own.vld_size, own.mean[0]) == (10000, 0.49139968)
    assert (other.vld_size, other.mean, other.std) == (500, None, None)
    assert own.augmentation.policy == other.augmentation.policy == "rand-m9-mstd0.5"


def test_what_is_typed_stays(monkeypatch):
    words = ("experiment=nat_cifar10_alphanet", "dataset=stl10", "dataset.vld_size=700", "dataset.mean=[0.5,0.5,0.5]")
    job = composed(monkeypatch, *words)
    assert (job.config.dataset.vld_size, job.config.dataset.mean[0], job.config.dataset.std) == (700, 0.5, None)
    assert (job.overrides, job.left_out) == (words, ["dataset.std"])


@pytest.mark.parametrize(
    ("words", "left_out"),
    [
        (["nat_reproduce_cifar10", "training=none"], {"training.choice", "training.schedule"}),
        pytest.param(
            ["nat_cifar10_proxyless", "supernet=tiny"],
            {"supernet.last_kernel_sizes", "supernet.last_expand_ratios"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["nat_reproduce_cifar10", "algorithm=msunas"],
            {"algorithm.fit_on", "training.choice"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["encas_joint_cifar10_5nets", "supernet=several", "supernet/members=[alphanet,ofa_w12]"],
            {"supernet.members.proxyless"},
            marks=pytest.mark.slow,
        ),
        pytest.param(["encas_5nets", "pool=timm"], {"pool.runs"}, marks=pytest.mark.slow),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else "",
)
def test_settings_that_another_part_does_not_have_are_left_out(words, left_out, monkeypatch):
    job = composed(monkeypatch, f"experiment={words[0]}", *words[1:])
    assert set(job.left_out) >= left_out


def test_a_wrong_key_of_an_own_recipe_is_still_found(monkeypatch, tmp_path):
    own = tmp_path / "conf" / "experiment" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("# @package _global_\ndefaults:\n  - override /algorithm: random\nalgorithm: {n_dooe: 3}\n")
    with pytest.raises(UserError, match=r"unknown key 'algorithm\.n_dooe'; did you mean 'algorithm\.n_doe'"):
        composed(monkeypatch, "-cd", str(tmp_path / "conf"), "experiment=mine")


def test_the_run_says_what_is_left_out_and_uses_the_rest(launch, monkeypatch):
    monkeypatch.setattr(SearchTask, "run", lambda task: f"{task._experiment.resolved['training'].get('choice')}")
    words = ("training=none", "tracker=csv", "algorithm.reevaluate=false", "evaluator.crop=1.0")
    code, out, err = launch("experiment=nat_reproduce_cifar10", "scale=small", *words)
    assert (code, out) == (0, "None\n"), err
    assert err.startswith("left out of the recipe, because other parts are chosen: training.")


def test_several_supernets_in_place_of_a_recipes_one(monkeypatch):
    job = composed(
        monkeypatch, "experiment=nat_cifar10_alphanet", "supernet=several", "supernet/members=[tiny,tiny_wide]",
        "algorithm=encas_joint", "dataset=digits",
    )  # fmt: skip
    assert set(job.config.supernet.members) == {"tiny", "tiny_wide"}


def test_jobs_of_one_process_may_leave_out_different_settings(launch, tmp_path, monkeypatch):
    monkeypatch.setattr(SearchTask, "run", lambda task: f"{task._experiment.resolved['optimizer'].get('generations')}")
    words = ("-m", "experiment=msunas_paper", "optimizer=nsga2,random", "hydra/launcher=basic", "tracker=csv")
    code, out, err = launch(*words, "paths.run=x/${hydra:runtime.choices.optimizer}")
    assert (code, out.splitlines()[:2]) == (0, ["20", "None"]), err
    assert {path.name for path in (tmp_path / "x").iterdir()} == {"nsga2", "random"}
