import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from torchvision import datasets

from nas.dataset.torchvision_arrays import TorchvisionArrays
from nas.errors import UserError
from tests.published import contents, grid, settings

N_TRAIN, N_TEST = 20, 4  # images a class


def pixels_of(label: int, number: int, side: int) -> npt.NDArray[np.uint8]:
    """Return an image, (3, side, side), with a mark in the upper right corner."""
    image = np.empty((3, side, side), np.uint8)
    image[:] = np.array([10 * label, 10 * number, 200])[:, None, None]
    image[2, 0, -1] = 0
    return image


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content))


def write_cifar(root: Path, name: str) -> None:
    """Write the pickled batches of the published archives, with two classes."""
    source: Any = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    key = {"cifar10": "labels", "cifar100": "fine_labels"}[name]
    folder = root / source.base_folder
    for files, first, n in ((source.train_list, 0, N_TRAIN), (source.test_list, N_TRAIN, N_TEST)):
        chosen = [(label, first + number) for number in range(n) for label in (0, 1)]
        for (file, _), part in zip(files, np.array_split(np.arange(len(chosen)), len(files)), strict=True):
            data = np.stack([pixels_of(*chosen[at], 32).reshape(-1) for at in part])
            write(folder / file, {"data": data, key: [chosen[at][0] for at in part]})
    write(folder / source.meta["filename"], {source.meta["key"]: ["cat", "dog"]})


def write_stl10(root: Path) -> None:
    """Write the published binary files: pixels column by column, labels from 1 on."""
    folder = root / "stl10_binary"
    folder.mkdir(parents=True)
    for part, first, n in (("train", 0, N_TRAIN), ("test", N_TRAIN, N_TEST)):
        chosen = [(label, first + number) for number in range(n) for label in (0, 1)]
        np.stack([pixels_of(*pair, 96).transpose(0, 2, 1) for pair in chosen]).tofile(folder / f"{part}_X.bin")
        np.array([label + 1 for label, _ in chosen], np.uint8).tofile(folder / f"{part}_y.bin")
    (folder / "unlabeled_X.bin").touch()
    (folder / "class_names.txt").write_text("cat\ndog\n")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published hashes hold for the published files alone."""
    for module in (datasets.cifar, datasets.stl10):
        monkeypatch.setattr(module, "check_integrity", lambda path, _: Path(path).exists())
    return tmp_path / "data"


@pytest.mark.parametrize(("name", "side"), [("cifar10", 32), ("cifar100", 32), ("stl10", 96)])
def test_published_files_are_read(name: str, side: int, root: Path) -> None:
    if name == "stl10":
        write_stl10(root)
    else:
        write_cifar(root, name)
    given = settings(name, path=root, download=False, vld_size=6, resolutions=(16, 24))
    dataset = TorchvisionArrays(**given)
    assert dataset.class_names == ("cat", "dog")
    train, validation = contents(dataset, "train"), contents(dataset, "validation")
    assert train | validation == grid((0, 1), range(N_TRAIN))
    assert not train & validation
    assert sorted(label for label, _ in validation) == [0, 0, 0, 1, 1, 1]
    assert contents(dataset, "test") == grid((0, 1), range(N_TRAIN, N_TRAIN + N_TEST))
    images = dataset.split("train")
    assert images.pixels.shape[1:] == (3, side, side)
    marked = np.argwhere(images.pixels[0, 2] == 0).tolist()
    assert marked == [[0, side - 1]]
    np.testing.assert_allclose(dataset.mean, (images.pixels / 255).mean(axis=(0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(dataset.std, (images.pixels / 255).std(axis=(0, 2, 3)), atol=1e-6)
    assert dataset.resolutions == (16, 24)
    assert TorchvisionArrays(**given).fingerprint == dataset.fingerprint
    assert TorchvisionArrays(**given | {"split_seed": 1}).fingerprint != dataset.fingerprint


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "stl10"])
def test_absent_files_are_one_line(name: str, root: Path) -> None:
    with pytest.raises(UserError, match=rf"dataset\.path: '{root}' does not hold .*or set dataset\.download=true"):
        TorchvisionArrays(**settings(name, path=root, download=False))
    assert not root.exists()


def test_files_with_another_hash_are_refused(tmp_path: Path) -> None:
    write_cifar(tmp_path, "cifar10")
    with pytest.raises(UserError, match=r"does not hold CIFAR10 \(Dataset not found or corrupted\)"):
        TorchvisionArrays(**settings("cifar10", path=tmp_path, download=False))


def test_no_network_is_one_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(datasets.CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    with pytest.raises(UserError, match=rf"cannot download CIFAR10 \(.*refused.*put it into '{root}' by hand"):
        TorchvisionArrays(**settings("cifar10", path=root))


def test_an_impossible_split_is_refused(root: Path) -> None:
    write_cifar(root, "cifar10")
    with pytest.raises(UserError, match=r"dataset\.vld_size is 40, but must be at most 38"):
        TorchvisionArrays(**settings("cifar10", path=root, vld_size=40))
