import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nas.dataset.base import Augmentation, Dataset, Images
from nas.dataset.imagefolder import ImageFolder
from nas.dataset.training_batches import TrainingBatches
from nas.errors import RunError, UserError
from tests.published import save, settings

NOTHING = Augmentation(shift=0.0, flip=False, cutout=0.0)
STRONG = replace(
    NOTHING, flip=True, crop=0.3, jitter=0.2, policy="rand-m9-mstd0.5-inc1", erasing=0.5, mixup=0.2, cutmix=1.0
)
# Python 3.12 and newer warn of what the loader does where a test runner has threads
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


class Noise(Dataset):
    """Random images; the label of each is its number."""

    mean = (0.1, 0.2, 0.3)
    std = (0.5, 0.25, 2.0)
    resolutions = (6,)
    fingerprint = ""

    def __init__(self, n: int = 10, augmentation: Augmentation = NOTHING) -> None:
        self.augmentation = augmentation
        self.class_names = tuple(str(label) for label in range(n))
        pixels = np.random.default_rng(0).integers(0, 256, (n, 3, 6, 6), dtype=np.uint8)
        self._images = Images(pixels, np.arange(n, dtype=np.int64))

    def split(self, name: str) -> Images:
        assert name == "train"
        return self._images

    def expected(self) -> Tensor:
        mean, std = (np.array(v, dtype=np.float32).reshape(3, 1, 1) for v in (self.mean, self.std))
        return torch.from_numpy((self._images.pixels[:].astype(np.float32) / 255 - mean) / std)


def batches(dataset: Dataset, **changed: Any) -> TrainingBatches:
    given: dict[str, Any] = {"batch_size": 4, "seed": 0, "device": "cpu"}
    return TrainingBatches(dataset=dataset, **given | changed)


def joined(dataset: Dataset, epoch: int = 0, **changed: Any) -> Tensor:
    """Return the images of an epoch at one resolution."""
    return torch.cat([images for images, _ in batches(dataset, **changed).epoch(epoch)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(20):
        save(tmp_path / "images" / "ab"[number % 2] / f"{number}.jpg", number % 2, number)
    return tmp_path / "images"


def files(folder: Path, augmentation: Augmentation, **changed: Any) -> ImageFolder:
    given = {"path": folder, "size": 6, "storage": "files", "cache": folder.parent / "cache"}
    return ImageFolder(
        **settings("imagefolder", **given | {"augmentation": augmentation, "resolutions": (6,)} | changed)
    )


def test_an_epoch_has_every_image_at_most_once_with_its_label() -> None:
    dataset = Noise(10)
    found = list(batches(dataset).epoch(0))
    assert [len(labels) for _, labels in found] == [4, 4]
    assert len(batches(dataset)) == 2
    labels = torch.cat([labels for _, labels in found])
    assert len(set(labels.tolist())) == 8
    assert labels.tolist() != sorted(labels.tolist())
    torch.testing.assert_close(torch.cat([images for images, _ in found]), dataset.expected()[labels])


def test_small_splits_are_one_batch_and_never_one_image() -> None:
    assert [len(labels) for _, labels in batches(Noise(3), batch_size=64).epoch(0)] == [3]
    with pytest.raises(UserError, match="2 images or more"):
        next(batches(Noise(1)).epoch(0))


@pytest.mark.parametrize(
    "augmentation", [Augmentation(shift=0.4, flip=True, cutout=0.5), STRONG], ids=["light", "strong"]
)
def test_an_epoch_follows_from_seed_and_number(augmentation: Augmentation) -> None:
    dataset = Noise(16, augmentation)
    known = joined(dataset, epoch=3)
    torch.manual_seed(5)
    random.seed(5)
    assert torch.equal(joined(Noise(16, augmentation), epoch=3), known)
    assert not torch.equal(joined(dataset, epoch=4), known)
    assert not torch.equal(joined(dataset, epoch=3, seed=1), known)


@pytest.mark.parametrize("source", ["arrays", "files", "cache"])
def test_any_number_of_workers_gives_the_same_tensors(source: str, folder: Path) -> None:
    found = []
    for workers in (0, 1, 2):
        augmentation = replace(STRONG, workers=workers)
        dataset = Noise(16, augmentation) if source == "arrays" else files(folder, augmentation, storage=source)
        torch.manual_seed(workers)
        np.random.seed(workers)
        state = torch.get_rng_state()
        found.append(list(batches(dataset, batch_size=3).epoch(1, [5, 6, 8, 6])))
        assert torch.equal(torch.get_rng_state(), state)
    assert len(found[0]) >= 4
    for other in found[1:]:
        for (images, targets), (same_images, same_targets) in zip(found[0], other, strict=True):
            assert torch.equal(images, same_images)
            assert torch.equal(targets, same_targets)


@pytest.mark.parametrize("augmentation", [NOTHING, replace(NOTHING, crop=0.5)], ids=["batch", "image"])
def test_each_batch_has_the_side_that_is_asked_for(augmentation: Augmentation) -> None:
    data = batches(Noise(80, augmentation))
    sides = [4, 6, 9, 4]
    assert [tuple(images.shape[2:]) for images, _ in data.epoch(0, sides)] == [(side, side) for side in sides]
    whole = list(batches(Noise(80, augmentation)).epoch(0, [6] * 20))
    part = list(data.epoch(0, [6] * 3))
    assert len(whole) == 20
    for (images, labels), (same, same_labels) in zip(part, whole, strict=False):
        assert torch.equal(images, same)
        assert torch.equal(labels, same_labels)


@pytest.mark.parametrize(
    "mixing",
    [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}, {"cutmix": 1.0, "cutmix_probability": 0.9}],
    ids=str,
)
def test_mixed_images_have_mixed_targets(mixing: dict[str, float]) -> None:
    dataset = Noise(40, replace(NOTHING, **mixing))
    plain, cut = dataset.expected(), 0
    for images, targets in batches(dataset, batch_size=8).epoch(0):
        assert targets.shape == (8, 40)
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(8))
        for image, target in zip(images, targets, strict=True):
            shares = target.nonzero().flatten()
            assert 1 <= len(shares) <= 2
            parts = plain[shares]
            pasted = bool((image == parts).any(dim=0).all())
            cut += pasted and len(shares) == 2
            if not pasted:
                torch.testing.assert_close(
                    image, (target[shares, None, None, None] * parts).sum(dim=0), atol=1e-5, rtol=1e-5
                )
    assert (cut > 0) == ("cutmix" in mixing)
    assert cut < 40 or "mixup" not in mixing


def test_images_are_mixed_one_by_one_where_that_has_a_probability() -> None:
    def mixed(probability: float | None) -> int:
        data = batches(Noise(40, replace(NOTHING, cutmix=1.0, cutmix_probability=probability)), batch_size=8)
        return sum(len(target.nonzero()) == 2 for _, targets in data.epoch(0) for target in targets)

    assert mixed(0.0) == 0
    assert 5 < mixed(0.5) < 25
    counts = [mixed(None), mixed(1.0)]
    assert counts[0] % 8 == 0  # whole batches
    assert counts[1] > 25


@pytest.mark.parametrize("storage", ["files", "cache"])
def test_a_folder_is_trained_from(storage: str, folder: Path) -> None:
    dataset = files(folder, NOTHING, storage=storage)
    found = list(batches(dataset).epoch(0))
    assert [images.shape for images, _ in found] == [(4, 3, 6, 6)] * 3
    mean, std = (torch.tensor(values)[:, None, None] for values in (dataset.mean, dataset.std))
    for images, labels in found:
        numbers = ((images * std + mean) * 25.5)[:, 1].mean(dim=(1, 2)).round().int()
        assert torch.equal(numbers % 2, labels.int())
    assert (folder.parent / "cache").exists() == (storage == "cache")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_file_is_one_line(workers: int, folder: Path) -> None:
    dataset = files(folder, replace(NOTHING, workers=workers), mean=[0.5] * 3, std=[0.5] * 3)
    for file in folder.glob("a/*"):
        file.write_bytes(b"no image")
    with pytest.raises(
        RunError, match=r"^\S+\.jpg cannot be read \(not an image of a known format\): repair .*corrupt=skip$"
    ):
        list(batches(dataset).epoch(0))


def test_an_unknown_policy_is_said_before_any_image_is_read() -> None:
    with pytest.raises(UserError, match=r"dataset\.augmentation\.policy=rnad is unknown"):
        batches(Noise(4, replace(NOTHING, policy="rnad")))
