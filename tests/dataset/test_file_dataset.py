import logging
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas.dataset.base import Augmentation
from nas.dataset.file_dataset import FileDataset
from nas.dataset.listing import Listing
from nas.errors import RunError, UserError
from tests.published import save

NAMES = ("train", "validation", "test")


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    for number in range(8):
        save(tmp_path / f"{number}.png", number % 2, number)
    labels = np.arange(8) % 2
    return Listing(("a", "b"), tuple(f"{number}.png" for number in range(8)), labels, np.zeros(8, np.bool_))


def make(root: Path, listing: Listing, splits: tuple[list[int], ...], **changed: Any) -> FileDataset:
    settings: dict[str, Any] = {
        "root": root,
        "listing": listing,
        "splits": {name: np.array(rows) for name, rows in zip(NAMES, splits, strict=True)},
        "size": 4,
        "storage": "cache",
        "corrupt": "refuse",
        "mean": None,
        "std": None,
        "resolutions": (4,),
        "augmentation": Augmentation(shift=0.0, flip=False, cutout=0.0),
        "cache": root / "cache",
    }
    return FileDataset(**settings | changed)


def numbers(dataset: FileDataset, name: str) -> list[int]:
    images = dataset.split(name)
    found = images.pixels[:][:, 1, 0, 0] // 10
    assert (found % 2 == images.labels).all()
    assert images.pixels.shape == (len(found), 3, 4, 4)
    return [int(number) for number in found]


@pytest.mark.parametrize("storage", ["cache", "files"])
def test_each_split_has_its_images_in_order(storage: str, tmp_path: Path, listing: Listing) -> None:
    dataset = make(tmp_path, listing, ([0, 5], [7, 2], [1]), storage=storage)
    assert [numbers(dataset, name) for name in NAMES] == [[0, 5], [7, 2], [1]]
    pixels = dataset.split("validation").pixels
    assert np.array_equal(pixels[np.array([1, 0, 1])], pixels[:][[1, 0, 1]])
    assert (tmp_path / "cache").exists() == (storage == "cache")


def test_files_and_cache_are_the_same_pixels_and_moments(tmp_path: Path, listing: Listing) -> None:
    cached, read = (make(tmp_path, listing, ([0, 5, 6], [7], [1]), storage=s) for s in ("cache", "files"))
    assert np.array_equal(cached.split("train").pixels[:], read.split("train").pixels[:])
    assert (cached.mean, cached.std) == (read.mean, read.std)
    scaled = cached.split("train").pixels[:] / 255
    np.testing.assert_allclose(cached.mean, scaled.mean(axis=(0, 2, 3)), atol=1e-6)
    given = make(tmp_path, listing, ([0, 5, 6], [7], [1]), mean=[0.1, 0.2, 0.3], std=[1.0, 2.0, 3.0])
    assert (given.mean, given.std) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))


def test_nothing_is_decoded_before_it_is_needed(tmp_path: Path, listing: Listing) -> None:
    dataset = make(tmp_path, listing, ([0, 5], [7, 2], [1]))
    assert dataset.n_classes == 2
    assert not (tmp_path / "cache").exists()
    assert dataset.fingerprint
    assert (tmp_path / "cache").exists()


def test_the_fingerprint_does_not_depend_on_what_was_decoded_before(tmp_path: Path, listing: Listing) -> None:
    first, second = ([0, 5], [7, 2], [1]), ([7, 0], [1, 5], [2])
    one = [make(tmp_path, listing, splits, cache=tmp_path / "c1").fingerprint for splits in (first, second)]
    two = [make(tmp_path, listing, splits, cache=tmp_path / "c2").fingerprint for splits in (second, first)]
    assert len(list((tmp_path / "c1" / "images").glob("*/pixels.npy"))) == 1
    assert one == two[::-1]
    assert one[0] != one[1]


def test_the_fingerprint_of_files_is_of_names_and_sizes(tmp_path: Path, listing: Listing) -> None:
    def fingerprint(splits: tuple[list[int], ...] = ([0, 5], [7, 2], [1])) -> str:
        return make(tmp_path, listing, splits, storage="files").fingerprint

    known = fingerprint()
    assert fingerprint() == known != fingerprint(([0, 7], [5, 2], [1]))
    (tmp_path / "3.png").write_bytes((tmp_path / "3.png").read_bytes() + b"x")
    assert fingerprint() != known


@pytest.mark.parametrize("storage", ["cache", "files"])
def test_a_copy_for_another_process_holds_no_pixels(storage: str, tmp_path: Path, listing: Listing) -> None:
    dataset = make(tmp_path, listing, ([0, 5], [7, 2], [1]), storage=storage)
    numbers(dataset, "train")
    copy = pickle.loads(pickle.dumps(dataset))
    assert [numbers(copy, name) for name in NAMES] == [[0, 5], [7, 2], [1]]
    assert len(pickle.dumps(dataset.split("train"))) < 700


def test_what_cannot_be_read(tmp_path: Path, listing: Listing, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "5.png").write_bytes(b"no image")
    splits = ([0, 5, 3], [7, 2], [1])
    with pytest.raises(UserError, match=r"1 of 6 images cannot be read, first: .*5\.png \(not an image"):
        make(tmp_path, listing, splits).split("test")
    with pytest.raises(RunError, match=r"5\.png cannot be read \(not an image of a known format\): repair or remove"):
        make(tmp_path, listing, splits, storage="files", mean=[0.0] * 3, std=[1.0] * 3).split("train").pixels[:]
    (tmp_path / "3.png").unlink()
    (tmp_path / "3.png").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"3\.png cannot be read \(No such file or directory\): repair or remove it"):
        make(tmp_path, listing, splits, storage="files", mean=[0.0] * 3, std=[1.0] * 3).split("train")
    (tmp_path / "3.png").unlink()
    save(tmp_path / "3.png", 1, 3)
    with pytest.raises(UserError, match=r"dataset\.corrupt=skip needs dataset\.storage=cache"):
        make(tmp_path, listing, splits, storage="files", corrupt="skip")
    with caplog.at_level(logging.WARNING):
        assert numbers(make(tmp_path, listing, splits, corrupt="skip"), "train") == [0, 3]
    assert "they are skipped" in caplog.text
    with pytest.raises(UserError, match=r"^none of the validation images of class 'b' can be read$"):
        make(tmp_path, listing, ([0, 3], [2, 5], [1]), corrupt="skip").split("train")


def test_files_whose_headers_show_that_they_cannot_be_used(tmp_path: Path, listing: Listing) -> None:
    Image.fromarray(np.full((8, 8), 700, np.int32)).save(tmp_path / "5.tif")
    paths = tuple(path.replace("5.png", "5.tif") for path in listing.paths)
    dataset = make(tmp_path, replace(listing, paths=paths), ([0, 5], [7, 2], [1]), storage="files", mean=[0.0] * 3)
    with pytest.raises(UserError, match=r"5\.tif cannot be read \(signed 32-bit integers: which of them is black"):
        dataset.split("train")
