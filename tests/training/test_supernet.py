import logging
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch import Tensor

from nas.dataset.base import Augmentation
from nas.errors import UserError
from nas.supernet.tiny import Tiny
from nas.training.supernet import SupernetTraining
from tests.small import Bars, tiny

Weights = dict[str, Tensor]


def small(**changes: Any) -> Tiny:
    return tiny(depths=(1, 2), stage_widths=(8, 8, 12), widths=(0.5, 1.0), kernel_sizes=(3,), **changes)


def training(cache: Path, supernet: Tiny, dataset: Bars | None = None, **changes: Any) -> SupernetTraining:
    settings: dict[str, Any] = {
        "epochs": 3,
        "warmup_epochs": 1,
        "batch_size": 16,
        "lr": 0.01,
        "weight_decay": 0.01,
        "clip_norm": 5.0,
        "label_smoothing": 0.1,
        "random_subnets": 2,
        "checkpoint_every": 1,
        "seed": 0,
    }
    places: dict[str, Any] = {"cache": cache, "folder": cache / "run", "kept": {}}
    return SupernetTraining(supernet=supernet, dataset=dataset or Bars(), device="cpu", **(places | settings | changes))


def silent(what: str, done: int, total: int) -> None:
    pass


def weights(supernet: Tiny) -> Weights:
    return {name: tensor.clone() for name, tensor in supernet.module.state_dict().items()}


def equal(a: Weights, b: Weights) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def stored(cache: Path) -> list[str]:
    return sorted(path.suffix for path in (cache / "supernets").iterdir() if path.suffix != ".lock")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Weights]:
    """A cache with the weights of an undisturbed training, and the weights."""
    cache = tmp_path_factory.mktemp("cache")
    supernet = small()
    training(cache, supernet).prepare(silent)
    return cache, weights(supernet)


def test_training_changes_the_weights_and_leaves_one_file(trained: tuple[Path, Weights]) -> None:
    cache, result = trained
    assert not equal(result, weights(small()))
    assert stored(cache) == [".pt"]


def test_second_run_loads_at_once(trained: tuple[Path, Weights]) -> None:
    cache, result = trained
    supernet = small()
    calls: list[tuple[str, int, int]] = []
    training(cache, supernet).prepare(lambda *progress: calls.append(progress))
    assert equal(weights(supernet), result)
    assert not supernet.module.training
    assert calls == []


def test_training_is_deterministic_and_tells_its_progress(trained: tuple[Path, Weights], tmp_path: Path) -> None:
    supernet = small()
    calls: list[tuple[str, int, int]] = []
    torch.manual_seed(99)
    state = torch.get_rng_state()
    training(tmp_path, supernet).prepare(lambda *progress: calls.append(progress))
    assert equal(weights(supernet), trained[1])
    assert calls == [("training the supernet", done, 3) for done in range(4)]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_interrupted_training_ends_with_the_same_weights(dropout: float, tmp_path: Path) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    undisturbed = small(dropout=dropout)
    training(tmp_path / "a", undisturbed, checkpoint_every=2).prepare(silent)
    with pytest.raises(KeyboardInterrupt):
        training(tmp_path / "b", small(dropout=dropout), checkpoint_every=2).prepare(interrupt)
    assert stored(tmp_path / "b") == [".pt"]
    calls: list[int] = []
    resumed = small(dropout=dropout)
    training(tmp_path / "b", resumed, checkpoint_every=2).prepare(lambda what, done, total: calls.append(done))
    assert calls == [2, 3]
    assert equal(weights(resumed), weights(undisturbed))
    assert stored(tmp_path / "b") == [".pt"]


def test_damaged_cache_is_reported_and_trained_again(
    trained: tuple[Path, Weights], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache, result = trained
    (good,) = (cache / "supernets").glob("*.pt")
    bad = tmp_path / "supernets" / good.name
    bad.parent.mkdir()
    bad.write_bytes(good.read_bytes()[:-1000])
    supernet = small()
    with caplog.at_level(logging.WARNING):
        training(tmp_path, supernet).prepare(silent)
    assert f"{good.name} is damaged" in caplog.text
    assert equal(weights(supernet), result)
    again = small()
    caplog.clear()
    training(tmp_path, again).prepare(silent)
    assert not caplog.records
    assert equal(weights(again), result)


def test_a_second_process_waits_and_loads(trained: tuple[Path, Weights], tmp_path: Path) -> None:
    cache, result = trained
    (good,) = (cache / "supernets").glob("*.pt")
    folder = tmp_path / "supernets"
    folder.mkdir()
    supernet, waits = small(), Event()
    calls: list[str] = []

    def progress(what: str, done: int, total: int) -> None:
        calls.append(what)
        waits.set()

    thread = Thread(target=lambda: training(tmp_path, supernet).prepare(progress))
    with FileLock(folder / f"{good.stem}.lock"):
        thread.start()
        assert waits.wait(timeout=30)
        (folder / good.name).write_bytes(good.read_bytes())
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert calls == ["waiting for another process that trains this supernet"]
    assert equal(weights(supernet), result)


@pytest.mark.parametrize("change", ["training", "supernet", "data", "augmentation"])
def test_other_settings_are_another_file(change: str, trained: tuple[Path, Weights]) -> None:
    cache, _ = trained
    augmented = Bars(augmentation=Augmentation(shift=0.2, flip=True, cutout=0.0))
    calls: list[int] = []
    other = {
        "training": lambda: training(cache, small(), lr=0.02, epochs=2),
        "supernet": lambda: training(cache, small(seed=1)),
        "data": lambda: training(cache, small(), Bars(n=16)),
        "augmentation": lambda: training(cache, small(), augmented),
    }[change]()
    other.prepare(lambda what, done, total: calls.append(done))
    assert calls[0] == 0


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # with workers, on Python 3.12
def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    results, names = [], []
    for workers in (0, 2):
        settings = Augmentation(shift=0.1, flip=False, cutout=0.0, erasing=0.5, mixup=0.2, workers=workers)
        supernet = small()
        training(tmp_path / str(workers), supernet, Bars(augmentation=settings)).prepare(silent)
        results.append(weights(supernet))
        names.append([path.name for path in (tmp_path / str(workers) / "supernets").glob("*.pt")])
    assert equal(*results)
    assert names[0] == names[1]


def test_training_learns(tmp_path: Path) -> None:
    dataset, supernet = Bars(), small()
    training(tmp_path, supernet, dataset, epochs=15).prepare(silent)
    supernet.module.train()  # the statistics of the batch itself
    images = dataset.split("test")
    mean, std = (np.array(v, dtype=np.float32).reshape(3, 1, 1) for v in (dataset.mean, dataset.std))
    batch = torch.nn.functional.interpolate(
        torch.from_numpy((images.pixels.astype(np.float32) / 255 - mean) / std),
        (11, 11),
        mode="bilinear",
        antialias=True,
    )
    logits = supernet.forward(batch, supernet.space.decode(supernet.space.largest))
    assert (logits.argmax(1) == torch.from_numpy(images.labels)).float().mean() > 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"warmup_epochs": 3}, "warmup_epochs is 3; it must be less than epochs, 3"),
        ({"batch_size": 1}, "batch_size is 1"),
    ],
)
def test_settings_must_fit(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        training(tmp_path, small(), **changes)


@pytest.mark.slow
def test_a_trial_tells_what_the_whole_training_takes_and_leaves_no_trace(tmp_path: Path) -> None:
    supernet = small()
    before = weights(supernet)
    subject = training(tmp_path, supernet)
    genomes = supernet.space.largest[None]
    (name, seconds), (_, size) = [*subject.trial(genomes).first.items(), *subject.trial(genomes).first_bytes.items()]
    assert seconds > 0
    assert equal(before, weights(supernet))
    assert not supernet.module.training
    assert list(tmp_path.iterdir()) == []
    assert training(tmp_path, small(), epochs=300).trial(genomes).first.popitem()[1] > 0
    subject.prepare(silent)
    plain = small()
    training(tmp_path / "other", plain).prepare(silent)
    assert equal(weights(supernet), weights(plain))
    (path,) = (tmp_path / "supernets").glob("*.pt")
    assert path.name == name
    assert size < path.stat().st_size < 3 * size
    assert training(tmp_path, small()).trial(genomes).first == {}


def test_a_cache_that_cannot_be_written_is_refused_before_training_unless_it_has_the_weights(
    trained: tuple[Path, Weights], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object) -> None:
        raise UserError("the cache cannot be used")

    cache, result = trained
    monkeypatch.setattr("nas.training.supernet.check_cache", read_only)
    monkeypatch.setattr("nas.training.supernet.locked", read_only)
    with pytest.raises(UserError, match="the cache cannot be used"):
        training(tmp_path, small())
    supernet = small()
    training(cache, supernet).prepare(silent)
    assert equal(weights(supernet), result)
