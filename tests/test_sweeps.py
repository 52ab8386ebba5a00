"""Every sweep composes, at both scales, and runs one tiny step."""

import re
import sys
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from nas.cli.check import check, without_hydra
from nas.cli.command import CommandLine
from nas.cli.compose import compose_jobs
from tests.cascades import write_pool
from tests.marks import slow_but

ROOT = Path(__file__).parent.parent
SWEEPS = [path.stem for path in sorted((ROOT / "sweeps").glob("*.yaml"))]
OF_STORED_OUTPUTS = [name for name in SWEEPS if re.match("encas_(cifar|imagenet|joint_plus|timm)", name)]
ONE_OF_EACH_KIND = {
    "digits_msunas_random",
    "encas_cifar10",
    "encas_imagenet_baselines",
    "encas_joint_cifar10",
    "encas_timm",
    "nat_reproduce",
    "nsganetv2_cifar10",
    "nsganetv2_imagenet_latency",
}
GIVEN = {"nsganetv2_imagenet_latency": ("sec_obj.latency_table.path=table.yaml",)}
"""What a user must say beside the name of a sweep."""

BASIC = "hydra/launcher=basic"
STEP = ("algorithm.n_doe=26", "algorithm.n_iter=2", "algorithm.iterations=1")
FEW_IMAGES = ("dataset.vld_size=100", "dataset.test_size=1600")
"""97 are left for training, which takes most of the time."""


def jobs(monkeypatch: pytest.MonkeyPatch, name: str, *words: str) -> list[DictConfig]:
    """Return the settings of all runs of a sweep."""
    line = ["-cd", str(ROOT / "sweeps"), "-cn", name, "-m", *words]
    monkeypatch.setattr(sys, "argv", ["launch.py", *line])
    return compose_jobs(CommandLine.parsed(line)).configs


@pytest.mark.parametrize("scale", [(), pytest.param(("scale=small",), marks=pytest.mark.slow)], ids=["full", "small"])
@pytest.mark.parametrize("name", slow_but(ONE_OF_EACH_KIND, SWEEPS))
def test_all_runs_compose_and_have_a_folder_of_their_own(name, scale, monkeypatch):
    composed = jobs(monkeypatch, name, "seed=0", *scale, *(() if scale else GIVEN.get(name, ())))
    folders = []
    for config in composed:
        HydraConfig.instance().set_config(config)
        check(without_hydra(config))
        folders.append(Path(config.hydra.run.dir))
    assert len(set(folders)) == len(folders)
    assert all(folder.is_relative_to("outputs/small" if scale else "outputs") for folder in folders)


@pytest.mark.parametrize("name", SWEEPS)
def test_ten_seeds(name):
    assert re.search(r"seed: range\(10\)$", (ROOT / "sweeps" / f"{name}.yaml").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", slow_but({"encas_cifar10", "nat_cifar10", "nsganetv2_cifar10"}, SWEEPS))
def test_one_tiny_step(name, launch, tmp_path):
    """The first run of each, with few evaluations; cascades take stored outputs instead of runs that are not there."""
    sweep = ("-cd", str(ROOT / "sweeps"), "-cn", name, "-m", "seed=0", "scale=small", "tracker=csv", BASIC)
    first = re.search(r"experiment: ([a-z0-9_]+)", (ROOT / "sweeps" / f"{name}.yaml").read_text())
    words = [f"experiment={first.group(1)}"] if first else []
    if name in OF_STORED_OUTPUTS:
        write_pool(tmp_path / "stored")
        own = "~pool.runs" if name != "encas_timm" else "~pool.models"
        others = ("~pool.weights", "~pool.resolutions") if name == "encas_timm" else ()
        words += ["paths.cache=cache", "pool=files", own, *others, "pool.folders=[stored]", "dataset=none"]
        words += [] if "greedy" in words[0] else ["optimizer.evaluations=300"]
    else:
        words += [*STEP, *FEW_IMAGES]
    if name.startswith("encas_joint_cifar"):
        words += ["training.member.epochs=2", "training.member.initial.epochs=3"]
    code, _, err = launch(*sweep, *words)
    assert code == 0, err
    assert len(list(tmp_path.rglob("front.json"))) >= 1


@pytest.mark.parametrize("path", sorted((ROOT / "sweeps" / "small").rglob("*.yaml")), ids=lambda path: path.stem)
def test_small_settings_stand_in_for_others(path):
    assert (ROOT / "conf" / path.relative_to(ROOT / "sweeps" / "small")).exists()


def test_the_last_word_is_the_scale():
    assert CommandLine(("seed=0", "scale=large", "scale=small")).scale == "small"
    assert CommandLine(("optimizer.scale=2",)).scale is None


def test_an_unknown_scale_is_refused(launch):
    code, _, err = launch("scale=smal")
    assert code == 2
    assert err == "error: unknown choice for scale: 'smal'; did you mean 'small'? (choices: small)\n"
