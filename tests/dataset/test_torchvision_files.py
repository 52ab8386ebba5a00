from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from torchvision import datasets

from nas.dataset.torchvision_files import TorchvisionFiles
from nas.errors import UserError
from tests.published import contents, grid, save, settings

CLASSES = ("cat", "dog", "owl")
PARTS = {"train": range(4), "val": range(4, 8), "test": range(8, 10)}  # numbers of each class's images
CONSTRUCTORS = {"aircraft": "FGVCAircraft", "dtd": "DTD", "flowers102": "Flowers102", "pets": "OxfordIIITPet"}


def lines(path: Path, content: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in content))


def pairs(*parts: str) -> list[tuple[int, int]]:
    return [(label, number) for part in parts for number in PARTS[part] for label in range(len(CLASSES))]


def write_aircraft(root: Path) -> None:
    data = root / "fgvc-aircraft-2013b" / "data"
    lines(data / "variants.txt", list(CLASSES))
    for part, chosen in (("trainval", pairs("train", "val")), ("test", pairs("test"))):
        rows = [f"{100 * number + label:07d} {CLASSES[label]}" for label, number in chosen]
        lines(data / f"images_variant_{part}.txt", rows)
        for row, pair in zip(rows, chosen, strict=True):
            save(data / "images" / f"{row.split()[0]}.jpg", *pair)


def write_dtd(root: Path) -> None:
    for part in PARTS:
        rows = [f"{CLASSES[label]}/{CLASSES[label]}_{number:04d}.jpg" for label, number in pairs(part)]
        lines(root / "dtd" / "dtd" / "labels" / f"{part}1.txt", rows)
        for row, pair in zip(rows, pairs(part), strict=True):
            save(root / "dtd" / "dtd" / "images" / row, *pair)


def write_pets(root: Path) -> None:
    folder = root / "oxford-iiit-pet"
    for part, chosen in (("trainval", pairs("train", "val")), ("test", pairs("test"))):
        rows = [f"{CLASSES[label]}_{number} {label + 1} 1 1" for label, number in chosen]
        lines(folder / "annotations" / f"{part}.txt", rows)
        for row, pair in zip(rows, chosen, strict=True):
            save(folder / "images" / f"{row.split()[0]}.jpg", *pair)


def write_flowers102(root: Path) -> None:
    """Images are numbered from 1 on, labels too; the file of splits lists the numbers."""
    folder = root / "flowers-102"
    chosen = pairs(*PARTS)
    for at, pair in enumerate(chosen, start=1):
        save(folder / "jpg" / f"image_{at:05d}.jpg", *pair)
    savemat(folder / "imagelabels.mat", {"labels": np.array([[label + 1 for label, _ in chosen]])})
    keys = {"trnid": "train", "valid": "val", "tstid": "test"}
    ids = {key: [at for at, pair in enumerate(chosen, start=1) if pair in pairs(part)] for key, part in keys.items()}
    savemat(folder / "setid.mat", {key: np.array([found]) for key, found in ids.items()})


WRITERS = {"aircraft": write_aircraft, "dtd": write_dtd, "flowers102": write_flowers102, "pets": write_pets}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published hashes hold for the published files alone."""
    monkeypatch.setattr(datasets.flowers102, "check_integrity", lambda path, _: Path(path).exists())
    monkeypatch.setattr(datasets.Flowers102, "classes", list(CLASSES))
    return tmp_path / "data"


@pytest.mark.parametrize("name", WRITERS)
def test_published_files_are_read(name: str, root: Path, tmp_path: Path) -> None:
    WRITERS[name](root)
    given = settings(name, path=root, download=False, size=8, vld_size=6, cache=tmp_path / "cache")
    dataset = TorchvisionFiles(**given)
    assert [class_name.lower() for class_name in dataset.class_names] == list(CLASSES)
    train, validation = contents(dataset, "train"), contents(dataset, "validation")
    assert train | validation == grid(range(3), range(8))
    assert not train & validation
    assert sorted(label for label, _ in validation) == [0, 0, 1, 1, 2, 2]
    assert contents(dataset, "test") == grid(range(3), PARTS["test"])
    assert dataset.split("train").pixels.shape == (18, 3, 8, 8)
    scaled = np.asarray(dataset.split("train").pixels) / 255
    np.testing.assert_allclose(dataset.mean, scaled.mean(axis=(0, 2, 3)), atol=1e-6)
    other = TorchvisionFiles(**given | {"split_seed": 1})
    assert contents(other, "validation") != validation
    assert other.fingerprint != dataset.fingerprint == TorchvisionFiles(**given).fingerprint


@pytest.mark.parametrize("name", WRITERS)
def test_absent_files_are_one_line(name: str, root: Path, tmp_path: Path) -> None:
    given = settings(name, path=root, download=False, cache=tmp_path / "cache")
    words = rf"'{root}' does not hold {CONSTRUCTORS[name]} .*or set dataset\.download=true"
    with pytest.raises(UserError, match=words):
        TorchvisionFiles(**given)
    assert not list(tmp_path.iterdir())


def test_no_network_is_one_line(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(datasets.DTD, "_URL", "http://127.0.0.1:9/dtd-r1.0.1.tar.gz")
    with pytest.raises(UserError, match=rf"cannot download DTD \(.*refused.*put it into '{root}' by hand"):
        TorchvisionFiles(**settings("dtd", path=root, cache=tmp_path / "cache"))


def test_a_folder_with_half_of_the_files_is_refused(root: Path, tmp_path: Path) -> None:
    write_pets(root)
    (root / "oxford-iiit-pet" / "images" / "cat_3.jpg").unlink()
    given = settings("pets", path=root, size=8, vld_size=6, cache=tmp_path / "cache")
    with pytest.raises(UserError, match=r"1 of 30 images cannot be read, first: .*cat_3\.jpg \(No such file"):
        TorchvisionFiles(**given).split("train")
    (root / "oxford-iiit-pet" / "annotations" / "test.txt").unlink()
    with pytest.raises(UserError, match=r"does not hold OxfordIIITPet \(.*No such file.*test\.txt"):
        TorchvisionFiles(**given | {"download": False})
