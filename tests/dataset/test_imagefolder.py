import json
import logging
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas.dataset.base import Augmentation, Images
from nas.dataset.imagefolder import ImageFolder
from nas.errors import UserError

CLASSES = ("ant", "bee", "cat")
REFERENCE = Path(os.environ.get("NAS_REFERENCE_DATA", Path(__file__).parents[3] / "shared" / "data"))

Make = Callable[..., ImageFolder]


def save(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def fill(folder: Path, n: int = 10, offset: int = 0) -> None:
    """Write ``n`` images a class; red tells the class, green the number."""
    for label, name in enumerate(CLASSES):
        for i in range(n):
            save(folder / name / f"{i}.png", (label, offset + i, 200))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def make(root: Path, tmp_path: Path) -> Make:
    def call(**changed: Any) -> ImageFolder:
        settings: dict[str, Any] = {
            "path": root,
            "size": 8,
            "vld_size": None,
            "test_size": None,
            "split_seed": 0,
            "resolutions": (8,),
            "storage": "cache",
            "corrupt": "refuse",
            "mean": None,
            "std": None,
            "augmentation": Augmentation(shift=0.1, flip=True, cutout=0.5),
            "cache": tmp_path / "cache",
        }
        return ImageFolder(**settings | changed)

    return call


def contents(images: Images) -> set[tuple[int, int]]:
    """Return (label, number) of every image, and assert that labels fit the images."""
    pixels = images.pixels[:]
    assert pixels.dtype == np.uint8
    assert images.labels.dtype == np.int64
    assert (pixels[:, 0] == images.labels[:, None, None]).all()
    found = {(int(label), int(image[1, 0, 0])) for label, image in zip(images.labels, pixels, strict=True)}
    assert len(found) == len(images)
    return found


def all_contents(dataset: ImageFolder) -> dict[str, set[tuple[int, int]]]:
    return {name: contents(dataset.split(name)) for name in ("train", "validation", "test")}


@pytest.mark.parametrize("below", [".", "train", "test", "val"])
def test_without_two_parts_the_test_set_is_split_off(root: Path, make: Make, below: str) -> None:
    fill(root / below)
    dataset = make(vld_size=6, test_size=9)
    parts = all_contents(dataset)
    assert {name: len(part) for name, part in parts.items()} == {"train": 15, "validation": 6, "test": 9}
    assert set.union(*parts.values()) == {(label, i) for label in range(3) for i in range(10)}
    assert dataset.class_names == CLASSES


@pytest.mark.parametrize("test", ["test", "val"])
def test_a_test_folder_is_the_test_set(root: Path, make: Make, test: str) -> None:
    fill(root / "train")
    fill(root / test, n=4, offset=100)
    parts = all_contents(make(vld_size=6, test_size=3))
    assert parts["test"] == {(label, 100 + i) for label in range(3) for i in range(4)}
    assert len(parts["validation"]) == 6
    assert parts["train"] | parts["validation"] == {(label, i) for label in range(3) for i in range(10)}


@pytest.mark.parametrize(
    ("names", "n_validation"),
    [
        (("train", "valid", "test"), None),
        (("Training", "Validation", "Testing"), None),
        (("TRAIN", "dev", "test_set"), 6),
    ],
)
def test_each_of_three_folders_is_a_split(root: Path, make: Make, names: tuple[str, ...], n_validation: int) -> None:
    for offset, part in enumerate(names):
        fill(root / part, offset=50 * offset)
    parts = all_contents(make(vld_size=n_validation))
    numbers = {name: {number for _, number in part} for name, part in parts.items()}
    assert (numbers["train"], numbers["test"]) == (set(range(10)), set(range(100, 110)))
    assert numbers["validation"] <= set(range(50, 60)) and len(parts["validation"]) == (n_validation or 30)


@pytest.mark.parametrize(
    ("train", "test"), [("Training", "Testing"), ("Train", "Test"), ("training", "validation"), ("train", "valid")]
)
def test_the_second_of_two_folders_is_the_test_set(root: Path, make: Make, train: str, test: str) -> None:
    fill(root / train)
    fill(root / test, n=4, offset=100)
    dataset = make()
    parts = all_contents(dataset)
    assert dataset.class_names == CLASSES
    assert parts["test"] == {(label, 100 + i) for label in range(3) for i in range(4)}
    assert parts["train"] | parts["validation"] == {(label, i) for label in range(3) for i in range(10)}


def test_sizes_that_are_not_given_are_a_fifth(root: Path, make: Make) -> None:
    fill(root)
    assert {name: len(part) for name, part in all_contents(make()).items()} == {
        "train": 18,
        "validation": 6,
        "test": 6,
    }


def test_three_images_a_class_are_enough(root: Path, make: Make) -> None:
    fill(root, n=3)
    assert [len(part) for part in all_contents(make()).values()] == [3, 3, 3]


def test_the_split_seed_alone_decides_on_the_splits(root: Path, make: Make) -> None:
    fill(root)
    first, again, other = make(), make(), make(split_seed=1)
    assert all_contents(first) == all_contents(again) != all_contents(other)
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_the_fingerprint_is_of_the_images_not_of_their_files(root: Path, make: Make) -> None:
    fill(root)
    known = make().fingerprint
    os.utime(root / "ant" / "0.png", ns=(1, 1))
    assert make().fingerprint == known
    save(root / "ant" / "0.png", (0, 99, 99))
    assert make().fingerprint != known


def test_nested_hidden_and_other_files(root: Path, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fill(root, n=4)
    save(root / "bee" / "more" / "deep" / "x.PNG", (1, 50, 0))
    save(root / "bee" / ".hidden.png", (1, 51, 0))
    save(root / "bee" / ".cache" / "x.png", (1, 52, 0))
    save(root / ".git" / "x.png", (1, 53, 0))
    (root / "bee" / "notes.txt").write_text("not an image")
    (root / "ant" / "Thumbs.db").write_text("not an image")
    (root / "README.md").write_text("no class")
    found = set.union(*all_contents(make()).values())
    assert found == {(label, i) for label in range(3) for i in range(4)} | {(1, 50)}
    assert f"{root}: 13 images of 3 classes; ignored 2 other files" in caplog.text


def test_mixed_sizes_become_one(root: Path, make: Make) -> None:
    fill(root)
    save(root / "ant" / "wide.png", (0, 50, 0), size=(30, 8))
    save(root / "ant" / "tall.png", (0, 51, 0), size=(5, 21))
    dataset = make(size=12)
    assert dataset.split("train").pixels.shape[1:] == (3, 12, 12)
    assert {(0, 50), (0, 51)} <= set.union(*all_contents(dataset).values())


def test_mean_and_std_are_those_of_the_training_images(root: Path, make: Make) -> None:
    fill(root)
    dataset = make()
    scaled = dataset.split("train").pixels[:] / 255
    np.testing.assert_allclose(dataset.mean, scaled.mean(axis=(0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(dataset.std[:2], scaled.std(axis=(0, 2, 3))[:2], atol=1e-6)
    assert dataset.std[2] == 1.0  # constant


def test_settings_arrive(root: Path, make: Make) -> None:
    fill(root)
    dataset = make(resolutions=(8, 16))
    assert dataset.augmentation == Augmentation(shift=0.1, flip=True, cutout=0.5)
    assert dataset.resolutions == (8, 16)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda root: None, "dataset.path: '{root}' does not exist"),
        (lambda root: root.write_text(""), "dataset.path: '{root}' is not a folder"),
        (lambda root: root.mkdir(), "dataset.path: '{root}' must hold at least two class folders, but has none"),
        (
            lambda root: save(root / "train" / "a.png", (0, 0, 0)),
            "dataset.path: '{root}/train' must hold at least two class folders, but has none; sort its 1 image into "
            "one folder a class",
        ),
        (
            lambda root: save(root / "ant" / "a.png", (0, 0, 0)),
            "dataset.path: '{root}' must hold at least two class folders, but has only one, 'ant'",
        ),
        (
            lambda root: (fill(root), (root / "dog").mkdir()),
            "class folder '{root}/dog' holds no images "
            "(files that end in .jpg, .jpeg, .png, .bmp, .gif, .ppm, .pgm, .tif, .tiff, .webp)",
        ),
        (
            lambda root: (fill(root / "train"), fill(root / "test"), save(root / "test" / "dog" / "a.png", (0, 0, 0))),
            "class 'dog' is in '{root}/test', but not in '{root}/train'",
        ),
        (
            lambda root: (
                fill(root / "train"),
                fill(root / "test"),
                [save(root / "train" / name / "a.png", (0, 0, 0)) for name in ("dog", "eel", "fly")],
            ),
            "class 'dog' (and 2 more) is in '{root}/train', but not in '{root}/test'",
        ),
        (
            lambda root: (fill(root), (root / "bee" / "3.png").write_text("")),
            "1 of 30 images cannot be read, first: {root}/bee/3.png (not an image of a known format); "
            "repair or remove them, or set dataset.corrupt=skip",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_left(
    root: Path, make: Make, prepare: Callable[[Path], object], message: str
) -> None:
    prepare(root)
    with pytest.raises(UserError) as caught:
        make().split("train")
    assert str(caught.value) == message.format(root=root)
    assert not (root.parent / "cache").exists()


def test_a_path_may_be_text_and_begin_at_home(root: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(root)
    monkeypatch.setenv("HOME", str(root.parent))
    assert make(path=f"~/{root.name}").fingerprint == make().fingerprint


def test_sizes_that_do_not_fit_are_refused_before_decoding(root: Path, make: Make) -> None:
    fill(root)
    with pytest.raises(UserError, match=r"^dataset\.test_size \+ dataset\.vld_size is 28, but must be at most 27:"):
        make(vld_size=14, test_size=14)
    with pytest.raises(UserError, match=r"^dataset\.vld_size is 2, but must be at least 3"):
        make(vld_size=2)
    assert not (root.parent / "cache").exists()


def test_unreadable_images_are_skipped(root: Path, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    fill(root / "train")
    fill(root / "test", n=4, offset=100)
    (root / "train" / "ant" / "3.png").write_text("")
    (root / "test" / "cat" / "0.png").write_text("")
    parts = all_contents(make(corrupt="skip"))
    everything = {(label, i) for label in range(3) for i in (*range(10), *range(100, 104))}
    assert set.union(*parts.values()) == everything - {(0, 3), (2, 100)}
    assert len(parts["test"]) == 11
    assert "2 of 42 images cannot be read" in caplog.text


@pytest.mark.parametrize(("part", "words"), [("train", "training"), ("test", "test")])
def test_a_class_that_skipping_leaves_empty_is_refused(root: Path, make: Make, part: str, words: str) -> None:
    fill(root / "train")
    fill(root / "test")
    for file in (root / part / "bee").iterdir():
        file.write_text("")
    with pytest.raises(UserError, match=f"^none of the {words} images of class 'bee' can be read$"):
        make(corrupt="skip").split("train")


def reference(name: str) -> Path:
    file = REFERENCE / name
    if not file.exists():
        pytest.skip(f"needs {file} (set NAS_REFERENCE_DATA to its folder)")
    return file


def test_classes_that_are_too_small_are_in_some_splits_only(
    root: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    fill(root)
    save(root / "dog" / "a.png", (3, 0, 200))
    parts = all_contents(make())
    assert {name: len(part) for name, part in parts.items()} == {"train": 19, "validation": 6, "test": 6}
    assert sum((3, 0) in part for part in parts.values()) == 1
    (warning,) = caplog.messages
    assert warning.startswith("1 of 4 classes have fewer than 3 images, first: 'dog'; classes without an image: 1 in ")


def test_one_image_a_class_is_split_into_fifths(root: Path, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("ant", "bee", "cat", "dog", "eel"):
        save(root / name / "0.png", (0, 0, 200))
    parts = {name: make().split(name) for name in ("train", "validation", "test")}
    assert [len(part) for part in parts.values()] == [3, 1, 1]
    assert sorted(np.concatenate([part.labels for part in parts.values()]).tolist()) == list(range(5))
    assert "5 of 5 classes have fewer than 3 images" in caplog.messages[0]


def test_the_imagenet_sample_has_one_image_a_class(root: Path, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    with tarfile.open(reference("imagenet-1k-sample.tar")) as tar:
        tar.extractall(root, filter="data")
    dataset = make(size=8)
    parts = {name: dataset.split(name).labels for name in ("train", "validation", "test")}
    assert [len(part) for part in parts.values()] == [600, 200, 200]
    assert len(np.unique(np.concatenate(list(parts.values())))) == 1000
    assert 400 < parts["validation"].mean() < 600  # at random
    assert caplog.messages == [
        "1,000 of 1,000 classes have fewer than 3 images, first: 'n01440764'; classes without an image: "
        "400 in the train split, 800 in the test split, 800 in the validation split"
    ]


def test_photographs_of_all_shapes(root: Path, make: Make) -> None:
    with tarfile.open(reference("imagenet-1k-sample.tar")) as tar:
        photographs = [member for member in tar.getmembers() if member.isfile()]
        for number, member in enumerate(photographs[:60]):
            target = root / f"class{number % 3}" / f"{number}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            content = tar.extractfile(member)
            assert content is not None
            target.write_bytes(content.read())
    dataset = make(size=64)
    assert [len(dataset.split(name)) for name in ("train", "validation", "test")] == [36, 12, 12]
    assert all(0.3 < mean < 0.6 for mean in dataset.mean)
    assert all(0.15 < std < 0.35 for std in dataset.std)


@pytest.mark.slow
def test_cifar10(root: Path, make: Make) -> None:
    with tarfile.open(reference("cifar10-jpeg.tar.xz")) as tar:
        tar.extractall(root, filter="data")
    dataset = make(size=32, vld_size=5000)
    assert [len(dataset.split(name)) for name in ("train", "validation", "test")] == [45_000, 5_000, 10_000]
    assert np.bincount(dataset.split("validation").labels).tolist() == [500] * 10
    assert dataset.class_names[0] == "airplane"
    # the published mean and standard deviation of CIFAR-10's training images
    np.testing.assert_allclose(dataset.mean, (0.4914, 0.4822, 0.4465), atol=2e-3)
    np.testing.assert_allclose(dataset.std, (0.2470, 0.2435, 0.2616), atol=3e-3)


SEARCH = (
    "dataset=imagefolder",
    "dataset.split_seed=0",
    "supernet=attentivenas",
    "supernet.checkpoint=random",
    "supernet.resolutions=[32]",
    "evaluator.recalibration_images=64",
    "algorithm.n_doe=50",
    "algorithm.n_iter=2",
    "algorithm.iterations=2",
    "tracker=csv",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n_files", "settings"),
    [
        ("cifar10-jpeg.tar.xz", 3000, ["dataset.vld_size=200"]),
        ("imagenet-1k-sample.tar", 1000, ["dataset.size=32", "dataset/augmentation=crops", "dataset.storage=files"]),
    ],
)
def test_a_search_on_published_images(
    name: str, n_files: int, settings: list[str], root: Path, launch: Callable[..., tuple[int, str, str]]
) -> None:
    with tarfile.open(reference(name)) as tar:
        members = [member for member in tar.getmembers() if member.name.endswith(".jpg")]
        chosen = members[:: len(members) // n_files]
        tar.extractall(root, members=chosen, filter="data")
    run = root.parent / "run"
    arguments = (*SEARCH, *settings, f"dataset.path={root}", f"paths.run={run}", f"paths.cache={root.parent / 'cache'}")
    code, _, error = launch(*arguments)
    assert code == 0, error
    front = json.loads((run / "front.json").read_text())
    assert (front["finished"], front["evaluations"]) == (True, 54)
    assert all(member["test"]["top1"] < 50 for member in front["front"])  # of random weights
