from pathlib import Path

import numpy as np
import pytest

from nas.dataset.decoded_splits import DecodedSplits
from nas.dataset.listing import Listing
from tests.published import save


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    for number in range(8):
        save(tmp_path / f"{number}.png", number % 2, number)
    labels = np.arange(8) % 2
    return Listing(("a", "b"), tuple(f"{number}.png" for number in range(8)), labels, np.zeros(8, np.bool_))


def make(root: Path, listing: Listing, **splits: list[int]) -> DecodedSplits:
    chosen = {name: np.array(rows) for name, rows in splits.items()}
    return DecodedSplits(root=root, listing=listing, splits=chosen, size=4, corrupt="refuse", cache=root / "cache")


def numbers(decoded: DecodedSplits, name: str) -> list[int]:
    images = decoded.split(name)
    found = images.pixels[:, 1, 0, 0] // 10
    assert (found % 2 == images.labels).all()
    return [int(number) for number in found]


def test_each_split_has_its_images_in_order(tmp_path: Path, listing: Listing) -> None:
    decoded = make(tmp_path, listing, train=[0, 5], validation=[7, 2], test=[1])
    assert numbers(decoded, "train") == [0, 5]
    assert numbers(decoded, "validation") == [7, 2]
    assert numbers(decoded, "test") == [1]


def test_images_that_are_decoded_already_are_split_anew(tmp_path: Path, listing: Listing) -> None:
    first = make(tmp_path, listing, train=[0, 5], validation=[7, 2], test=[1])
    second = make(tmp_path, listing, train=[7, 0], validation=[1, 5], test=[2])
    assert len(list((tmp_path / "cache" / "images").glob("*/pixels.npy"))) == 1
    assert numbers(second, "train") == [7, 0]
    assert numbers(second, "validation") == [1, 5]
    assert numbers(second, "test") == [2]
    assert first.fingerprint != second.fingerprint
