"""Every recipe composes and runs one tiny step."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.task.search import SearchTask
from tests.cascades import write_pool
from tests.marks import slow_but

ROOT = Path(__file__).parent.parent
TINY = (
    "training=none",
    "tracker=csv",
    "algorithm.n_doe=26",
    "algorithm.n_iter=1",
    "algorithm.iterations=1",
    "evaluator.recalibration_images=64",
)
RECIPES = [path.stem for path in sorted((ROOT / "conf" / "experiment").glob("*.yaml"))]
ONE_OF_EACH_KIND = {"nat_reproduce_cifar10", "nat_cifar10_proxyless", "nat_imagenet_ofa_w12"}
REAL_NETWORKS = ("nat_", "encas_joint_", "nsganetv2_", "frozen_")
ALIKE = [name for name in RECIPES if name.startswith(REAL_NETWORKS) and name not in ONE_OF_EACH_KIND]
FAST = {
    "demo",
    "encas_1net",
    "encas_5nets",
    "encas_5nets_greedy",
    "encas_timm",
    "msunas_paper",
    "nat_cifar10_proxyless",
}
FINETUNING = [name for name in RECIPES if name.startswith("finetune_")]


@pytest.mark.parametrize("name", slow_but(FAST, [name for name in RECIPES if name not in ALIKE + FINETUNING]))
def test_experiment(name, launch, tmp_path):
    code, out, err = launch(f"experiment={name}", *in_small(name, tmp_path))
    assert code == 0, err
    assert "Front: " in out
    assert len(list(tmp_path.rglob("front.json"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ALIKE)
def test_experiment_is_complete(name, launch, tmp_path, monkeypatch):
    """Everything but the run itself: real networks take seconds."""
    monkeypatch.setattr(SearchTask, "run", lambda _: "nothing is wrong")
    code, out, err = launch(f"experiment={name}", *in_small(name, tmp_path))
    assert (code, out) == (0, "nothing is wrong\n"), err


@pytest.mark.long
@pytest.mark.parametrize("name", ALIKE)
def test_experiment_that_is_alike(name, launch, tmp_path):
    test_experiment(name, launch, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", FINETUNING)
def test_finetuning(name, launch, tmp_path):
    """One epoch on a few images, of a network that has everything that the recipe asks for."""
    model = ("model=timm:mobilenetv3_small_050", "weights=random", "r=32")
    own = ("finetuning.epochs=1", "finetuning.warmup_epochs=0", "finetuning.batch_size=8", "paths.run=tuned")
    imagenet = name == "finetune_imagenet"
    on_noise("nat_imagenet" if imagenet else "nat", tmp_path)
    images = ("dataset.path=images", "dataset.size=32", "dataset.vld_size=8", "dataset.augmentation.workers=0")
    other = () if imagenet else ("dataset=imagefolder",)
    code, out, err = launch(
        f"experiment={name}", *model, *own, *other, *images, "paths.cache=cache", "device=cpu", "tracker=csv"
    )
    assert code == 0, err
    assert "Model: tuned" in out
    assert (tmp_path / "tuned" / "model.json").exists()


def in_small(name, tmp_path):
    """Return what makes a recipe one tiny step."""
    if name.startswith("encas_joint_"):
        return joint_on_noise(name, tmp_path)
    if name.startswith("encas_"):
        return in_a_small_pool(name, tmp_path)
    if name.startswith("nat_"):
        return (*on_noise(name, tmp_path), *ONE_SUPERNET)
    if name.startswith(("nsganetv2_", "frozen_")):
        return with_frozen_weights(name, tmp_path)
    return TINY


def with_frozen_weights(name, tmp_path):
    """Return what a recipe needs whose networks are trained one by one, if at all."""
    given = [word for word in on_noise("nat", tmp_path) if not word.startswith(("training.", "algorithm.n_"))]
    random = name.endswith("_random")
    budget = ("algorithm.n_doe=60", *(() if random else ("algorithm.n_iter=1",)))
    tuning = ("evaluator.tuning.epochs=1", "evaluator.tuning.batch_size=8")
    surrogate = ("surrogate.members=10",) if name.startswith("frozen_") else ()
    own = tuning if "imagenet" not in name else ()
    network = ("supernet.checkpoint=random", "supernet.resolutions=[32]", "evaluator.recalibration_images=8")
    return (*given, *budget, *own, *surrogate, *network, "optimizer.generations=3")


def in_a_small_pool(name, tmp_path):
    """Return what a recipe for stored outputs needs instead of its runs or models."""
    write_pool(tmp_path / "outputs_of_models")
    own = "~pool.models" if name == "encas_timm" else "~pool.runs"
    budget = () if name.endswith("greedy") else ("optimizer.evaluations=300",)
    data = ("dataset=none", "~dataset.vld_size") if name == "encas_timm" else ()
    return ("tracker=csv", "paths.cache=cache", "pool=files", own, "pool.folders=[outputs_of_models]", *budget, *data)


ONE_SUPERNET = (
    "supernet.checkpoint=random",
    "supernet.resolutions=[32]",
    "surrogate.members=20",
    "optimizer.generations=3",
    "evaluator.recalibration_images=8",
)


def joint_on_noise(name, tmp_path):
    """Return what a recipe of ENCAS-joint needs to search its own spaces on a few images of 32 x 32 pixels."""
    members = ["alphanet", "ofa_w12"] + ["ofa_w10", "attentivenas", "proxyless"] * name.endswith("5nets")
    random = [
        (f"supernet.members.{each}.checkpoint=random", f"supernet.members.{each}.resolutions=[32]") for each in members
    ]
    shared = [word for word in on_noise(name, tmp_path) if not word.startswith("training.")]
    return (
        *shared,
        *(word for words in random for word in words),
        f"training.member.epochs={len(members)}",
        "training.member.batch_size=8",
        *(f"surrogate.{part}.members=20" for part in ("member", "combining", "cost")),
        "optimizer.evaluations=20",
        "evaluator.networks.recalibration_images=8",
    )


def on_noise(name, tmp_path):
    """Return what a recipe of NAT needs to search its own space on a few images of 32 x 32 pixels."""
    rng = np.random.default_rng(0)
    imagenet = name.startswith("nat_imagenet")
    folders = ("train", "val", *(f"v2/{kind}" for kind in ("a", "b"))) if imagenet else ("train", "test")
    for folder in folders:
        for label, number in np.ndindex(2, 12):
            path = tmp_path / "images" / folder / str(label) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
    data = (
        "dataset=imagefolder",
        "dataset.path=images",
        "dataset.vld_size=8",
        "training.epochs=1",
        "training.batch_size=8",
    )
    photos = ("dataset.imagenet=images", "dataset.path=images/v2", "dataset.sets=[a,b]", "dataset.train_size=null")
    return (
        "tracker=csv",
        "paths.cache=cache",
        "device=cpu",
        "dataset.size=32",
        "dataset.augmentation.workers=0",
        "algorithm.n_doe=3",
        "algorithm.n_iter=2",
        "algorithm.iterations=1",
        *(photos if imagenet else data),
    )
