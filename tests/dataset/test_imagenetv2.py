import shutil
from pathlib import Path
from typing import Any

import pytest

from nas.dataset.imagenetv2 import ImageNetV2
from nas.errors import UserError
from tests.published import contents, grid, save, settings

CLASSES = ("n01", "n02", "n03")
SETS = settings("imagenetv2")["sets"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """ImageNet with numbers 0 to 7, and three sets that share images: 8 to 11, 10 to 13, 12 to 14."""
    for label, name in enumerate(CLASSES):
        for number in range(6):
            save(tmp_path / "imagenet" / "train" / name / f"{number}.JPEG", label, number)
        for number in (6, 7):
            save(tmp_path / "imagenet" / "val" / name / f"{number}.JPEG", label, number)
        for folder, numbers in zip(SETS, (range(8, 12), range(10, 14), range(12, 15)), strict=True):
            for number in numbers:
                save(tmp_path / "v2" / folder / str(label) / f"hash{number}.jpeg", label, number)
    return tmp_path


def make(root: Path, **changed: Any) -> ImageNetV2:
    small = {"path": root / "v2", "imagenet": root / "imagenet", "size": 8, "train_size": 9, "cache": root / "cache"}
    return ImageNetV2(**settings("imagenetv2", **small | changed))


def test_the_sets_are_merged_without_duplicates(root: Path) -> None:
    dataset = make(root)
    assert dataset.class_names == CLASSES
    assert contents(dataset, "validation") == grid(range(3), range(8, 15))
    assert len(contents(dataset, "train")) == 9
    assert contents(dataset, "train") < grid(range(3), range(6))
    assert contents(dataset, "test") == grid(range(3), (6, 7))
    assert contents(make(root, split_seed=1), "train") != contents(dataset, "train")
    assert contents(make(root, train_size=None), "train") == grid(range(3), range(6))


def test_duplicates_are_known_by_their_content_too(root: Path) -> None:
    folder = root / "v2" / SETS[2] / "1"
    shutil.copy(root / "v2" / SETS[0] / "1" / "hash8.jpeg", folder / "another_name.jpeg")
    assert contents(make(root), "validation") == grid(range(3), range(8, 15))


def test_other_folders_than_the_classes_numbers_are_refused(root: Path) -> None:
    (root / "v2" / SETS[1] / "2").rename(root / "v2" / SETS[1] / "two")
    with pytest.raises(UserError, match=rf"{SETS[1]}' must hold the folders 0 to 2, one for each class"):
        make(root)
    shutil.rmtree(root / "v2" / SETS[1])
    with pytest.raises(UserError, match=rf"must hold the folders .*no '.*{SETS[1]}'"):
        make(root)
    with pytest.raises(UserError, match=r"dataset\.imagenet: .* must hold the folders train, val: no"):
        make(root, imagenet=root / "elsewhere")
