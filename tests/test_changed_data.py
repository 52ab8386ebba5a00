"""What a run was made with stays what it is: changed data are noticed, and its weights are its own."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nas
from nas.errors import RunError, UserError
from nas.files import read_json
from nas.loop import Search
from nas.run.finished import FinishedRun
from nas.supernet.checkpoint import weights_digest
from nas.supernet.tiny import Tiny
from nas.training import checkpoint
from nas.training.supernet import SupernetTraining
from tests.own_parts import SEARCH
from tests.sealing import change
from tests.small_runs import exit_code, launched

WORDS = (
    *SEARCH,
    "dataset=imagefolder",
    "dataset.path=pictures",
    "dataset.size=8",
    "dataset.resolutions=[8]",
    "supernet.depths=[1,2]",
    "supernet.kernel_sizes=[3]",
    "training.batch_size=8",
)
THERE = ("paths.cache=cache", "device=cpu")
KEPT = "run/weights/supernet.pt"


def write_images(folder: Path, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for i in range(n):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(folder / f"{i}.png")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on three classes of 12 images, and its cache."""
    folder = tmp_path_factory.mktemp("finished")
    for seed, name in enumerate("abc"):
        write_images(folder / "pictures" / name, 12, seed)
    launched(folder, *WORDS)
    return folder


@pytest.fixture
def place(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which nothing may be trained."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(SupernetTraining, "_train", no_training)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def no_training(*_: object) -> None:
    raise AssertionError("a supernet was trained")


def reopened(folder: Path) -> FinishedRun:
    return FinishedRun(folder / "run", key="run", device="cpu", cache=folder / "cache")


def test_a_new_class_is_noticed_by_the_same_command_and_by_tasks(launch, place):
    write_images(place / "pictures" / "d", 12, seed=9)
    for words in (WORDS, ("task=export", "run=run", "overwrite=true", *THERE)):
        code, _, err = launch(*words)
        assert code == 2
        assert err.startswith("error: the data have changed: the run in 'run' had 36 images of 3 classes (fingerprint ")
        assert "now there are 48 images of 4 classes" in err
        assert "restore the data, or search anew in another folder (paths.run=FOLDER)" in err
        assert len(err.splitlines()) == 1


def test_a_replaced_image_is_noticed(place):
    assert reopened(place).dataset.n_classes == 3
    shutil.copy(place / "pictures/a/1.png", place / "pictures/b/1.png")
    with pytest.raises(UserError, match=r"had 36 images of 3 classes .* now there are 36 images of 3 classes"):
        _ = reopened(place).dataset
    with pytest.raises(UserError, match="the data have changed"):
        nas.load(place / "run")


def test_a_models_folder_knows_its_images(launch, place):
    assert launch("task=select", "run=run", *THERE)[0] == 0
    write_images(place / "pictures" / "d", 12, seed=9)
    model = next((place / "run/selected").iterdir())
    code, _, err = launch("task=validate", f"model={model}", *THERE)
    assert code == 2
    assert f"the model in '{model}' was made for 36 images of 3 classes" in err
    nas.load(model)  # which needs no images


def test_moved_images_are_the_same(launch, place):
    (place / "pictures").rename(place / "moved")
    code, out, _ = launch(*WORDS, "dataset.path=moved")
    assert (code, "This run is finished" in out) == (0, True)
    named = {"_target_": "nas.dataset.imagefolder.ImageFolder", "path": "moved", "size": 3}
    run = FinishedRun(place / "run", key="run", device="cpu", cache=place / "cache", named=named)
    assert run.dataset.split("train").pixels.shape[2] == 8  # all else is the run's
    with pytest.raises(UserError, match="'pictures' does not exist"):
        _ = reopened(place).dataset


def test_a_run_needs_no_cache(place):
    network = nas.load(place / "run", arch=0)
    shutil.rmtree(place / "cache")
    again = nas.load(place / "run", arch=0)
    assert weights_digest(again.state_dict()) == weights_digest(network.state_dict())


def test_lost_weights_are_the_caches_or_refused(place):
    known = next(iter(read_json(place / "run/run.json")["weights"].values()))
    shutil.copy(place / KEPT, place / "good.pt")
    others = {name: tensor + 1 for name, tensor in checkpoint.load(place / KEPT).items()}
    checkpoint.save(place / KEPT, others)  # a whole file, but of other weights
    run = reopened(place)
    run.train(lambda *_: None)
    assert weights_digest(run.supernet.module.state_dict()) == known
    (cached,) = (place / "cache/supernets").glob("*.pt")
    checkpoint.save(cached, others)
    with pytest.raises(UserError, match=r"are gone: '.*supernet\.pt' is absent or changed, and the cache has no"):
        nas.load(place / "run")
    (place / "good.pt").rename(place / KEPT)
    nas.load(place / "run")


def test_another_checkpoint_is_noticed(place, monkeypatch):
    monkeypatch.setattr(Tiny, "checkpoints", ("new",))
    _ = reopened(place).supernet  # the run does not know of any
    known = read_json(place / "run/run.json")["fingerprints"]
    change(place / "run/run.json", fingerprints=known | {"checkpoint": "old"})
    with pytest.raises(UserError, match=r"holds a run with another checkpoint \(old, now new\)"):
        _ = reopened(place).supernet


def test_a_killed_run_goes_on_with_its_weights_when_the_cache_is_gone(place, monkeypatch):
    def killed(*_: object) -> None:
        raise RunError("killed")

    before = (place / "run/archive.jsonl").read_bytes()
    shutil.rmtree(place / "run")
    with monkeypatch.context() as patch:
        patch.setattr(Search, "_conclude", killed)
        assert exit_code(place, *WORDS) == 1
    shutil.rmtree(place / "cache/supernets")
    launched(place, *WORDS)
    assert (place / "run/archive.jsonl").read_bytes() == before
