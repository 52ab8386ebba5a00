from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.dataset.class_folders import ClassFolders
from nas.errors import UserError
from tests.published import contents, grid, save, settings

CLASSES = ("ant", "bee", "cat")


def fill(folder: Path, numbers: range, ending: str = "png") -> None:
    for label, name in enumerate(CLASSES):
        for number in numbers:
            save(folder / name / f"{number}.{ending}", label, number)


def cinic10(tmp_path: Path, **changed: Any) -> ClassFolders:
    small = {"path": tmp_path / "data", "size": 8, "vld_size": 6, "cache": tmp_path / "cache"}
    return ClassFolders(**settings("cinic10", **small | changed))


def imagenet(tmp_path: Path, **changed: Any) -> ClassFolders:
    small = {"path": tmp_path / "data", "size": 8, "train_size": 9, "vld_size": 6, "cache": tmp_path / "cache"}
    return ClassFolders(**settings("imagenet", **small | changed))


def test_cinic10_pools_training_and_validation_images(tmp_path: Path) -> None:
    for at, part in enumerate(("train", "valid", "test")):
        fill(tmp_path / "data" / part, range(4 * at, 4 * at + 4))
    dataset = cinic10(tmp_path)
    assert dataset.class_names == CLASSES
    train, validation = contents(dataset, "train"), contents(dataset, "validation")
    assert train | validation == grid(range(3), range(8))
    assert sorted(label for label, _ in validation) == [0, 0, 1, 1, 2, 2]
    assert contents(dataset, "test") == grid(range(3), range(8, 12))
    assert contents(cinic10(tmp_path, split_seed=1), "validation") != validation


def test_of_imagenet_only_the_images_of_the_splits_are_decoded(tmp_path: Path) -> None:
    fill(tmp_path / "data" / "train", range(10), "JPEG")
    fill(tmp_path / "data" / "val", range(10, 14), "JPEG")
    dataset = imagenet(tmp_path)
    train, validation = contents(dataset, "train"), contents(dataset, "validation")
    assert (len(train), len(validation), len(train & validation)) == (9, 6, 0)
    assert np.bincount(dataset.split("train").labels).tolist() == [3, 3, 3]
    assert contents(dataset, "test") == grid(range(3), range(10, 14))
    (decoded,) = (tmp_path / "cache" / "images").glob("*/pixels.npy")
    assert len(np.load(decoded)) == 9 + 6 + 12
    scaled = np.asarray(dataset.split("train").pixels) / 255
    computed = imagenet(tmp_path, mean=None, std=None)
    np.testing.assert_allclose(computed.mean, scaled.mean(axis=(0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(computed.std, scaled.std(axis=(0, 2, 3)), atol=1e-6)
    assert dataset.mean == (0.485, 0.456, 0.406)
    assert imagenet(tmp_path).fingerprint == dataset.fingerprint
    more = imagenet(tmp_path, train_size=12, test_size=6)
    assert contents(more, "validation") == validation
    assert len(contents(more, "train")) == 12
    assert np.bincount(more.split("test").labels).tolist() == [2, 2, 2]
    assert len(contents(imagenet(tmp_path, train_size=None), "train")) == 24


def test_images_that_cannot_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path / "data" / "train", range(10))
    fill(tmp_path / "data" / "val", range(10, 14))
    (tmp_path / "data" / "val" / "bee" / "11.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"1 of 27 images cannot be read, first: .*val/bee/11\.png"):
        imagenet(tmp_path).split("train")
    dataset = imagenet(tmp_path, corrupt="skip")
    assert contents(dataset, "test") == grid(range(3), range(10, 14)) - {(1, 11)}
    assert "they are skipped" in caplog.text
    assert len(contents(dataset, "train")) == 9
    for file in (tmp_path / "data" / "train" / "bee").iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(UserError, match="none of the training images of class 'bee' can be read"):
        imagenet(tmp_path, corrupt="skip").split("train")


def test_folders_that_are_not_as_they_must_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data' must hold the folders train, val: no '.*train'"):
        imagenet(tmp_path)
    fill(tmp_path / "data" / "train", range(10))
    (tmp_path / "data" / "val").mkdir()
    with pytest.raises(UserError, match="must hold at least two class folders, but has none"):
        imagenet(tmp_path)
    fill(tmp_path / "data" / "val", range(10, 14))
    save(tmp_path / "data" / "train" / "dog" / "0.png", 3, 0)
    with pytest.raises(UserError, match="class 'dog' is in only one of"):
        imagenet(tmp_path)
    (tmp_path / "data" / "val" / "dog").mkdir()
    with pytest.raises(UserError, match="dog' holds no images"):
        imagenet(tmp_path)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"vld_size": 28}, r"dataset\.vld_size is 28, but must be at most 27"),
        ({"train_size": 25}, r"dataset\.train_size is 25, but must be at most 21"),
        ({"test_size": 2}, r"dataset\.test_size is 2, but must be at least 3"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changed: dict[str, int], words: str, tmp_path: Path) -> None:
    fill(tmp_path / "data" / "train", range(10))
    fill(tmp_path / "data" / "val", range(10, 14))
    with pytest.raises(UserError, match=words):
        imagenet(tmp_path, **changed)
