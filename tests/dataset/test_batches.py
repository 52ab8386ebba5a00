import threading

import numpy as np
import pytest
import torch
from torch import Tensor

from nas.dataset import batches
from nas.dataset.base import Images
from nas.dataset.batches import Batches, Normalise, ahead, resize

MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)


def split(n: int = 10, height: int = 6, width: int = 6) -> Images:
    pixels = np.random.default_rng(0).integers(0, 256, (n, 3, height, width), dtype=np.uint8)
    return Images(pixels, np.arange(n, dtype=np.int64))


def wrap(images: Images, cache_bytes: int = 2**20, crop: float = 1.0) -> Batches:
    return Batches(images=images, mean=MEAN, std=STD, device="cpu", crop=crop, cache_bytes=cache_bytes)


def expected(images: Images) -> Tensor:
    mean, std = (np.array(v, dtype=np.float32).reshape(3, 1, 1) for v in (MEAN, STD))
    return torch.from_numpy((images.pixels.astype(np.float32) / 255 - mean) / std)


def test_pixels_are_normalised() -> None:
    images = split()
    torch.testing.assert_close(wrap(images).at(6), expected(images))
    normalise = Normalise(mean=MEAN, std=STD, device="cpu")
    black = normalise(torch.zeros(1, 3, 2, 2, dtype=torch.uint8))
    torch.testing.assert_close(black, normalise.black.expand(1, 3, 2, 2))


@pytest.mark.parametrize("resolution", [4, 9])
def test_whole_split_is_resized_chunk_by_chunk(resolution: int, monkeypatch: pytest.MonkeyPatch) -> None:
    images = split(height=7, width=5)
    whole = torch.nn.functional.interpolate(expected(images), (resolution, resolution), mode="bilinear", antialias=True)
    monkeypatch.setattr(batches, "CHUNK_BYTES", 3 * 3 * 7 * 5 * 4)
    torch.testing.assert_close(wrap(images).at(resolution), whole)


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_the_centre_is_cut_out_and_resized(cache_bytes: int) -> None:
    images = split(height=16, width=9)
    data = wrap(images, cache_bytes, crop=0.875)
    middle = expected(images)[:, :, 1:15, :8]
    torch.testing.assert_close(torch.cat([part for part, _ in data.sequential(12, 4)]), resize(middle, 12))
    assert wrap(images, crop=0.0).at(3).shape == (10, 3, 3, 3)


def test_least_recently_used_resolution_is_forgotten() -> None:
    images = split()
    size = {r: 10 * 3 * r * r * 4 for r in (4, 5, 6)}
    data = wrap(images, cache_bytes=size[4] + size[6])
    four, five = data.at(4), data.at(5)
    assert data.at(4) is four
    six = data.at(6)  # forgets 5
    assert data.at(4) is four
    assert data.at(6) is six
    assert data.at(5) is not five


def test_split_larger_than_the_cache_is_resized_batch_by_batch() -> None:
    images = split()
    uncached = wrap(images, cache_bytes=0)
    assert uncached.at(4) is not uncached.at(4)
    for (a, _), (b, _) in zip(uncached.sequential(4, 3), wrap(images).sequential(4, 3), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(("n", "size", "parts"), [(10, 3, [3, 3, 4]), (10, 10, [10]), (10, 11, [10]), (3, 2, [3])])
def test_sequential_batches_are_about_equal_and_in_order(n: int, size: int, parts: list[int]) -> None:
    found = list(wrap(split(n)).sequential(6, size))
    assert sorted(len(labels) for _, labels in found) == parts
    assert torch.equal(torch.cat([labels for _, labels in found]), torch.arange(n))
    torch.testing.assert_close(torch.cat([images for images, _ in found]), expected(split(n)))


def test_resizing_to_the_same_side_changes_nothing() -> None:
    images = torch.rand(2, 3, 6, 6)
    assert torch.equal(resize(images, 6), images)


def test_items_come_in_order():
    assert list(ahead(iter(range(5)))) == list(range(5))
    assert list(ahead(iter([]))) == []


def test_the_next_item_is_made_while_this_one_is_used():
    made = [threading.Event() for _ in range(3)]

    def items():
        for number, event in enumerate(made):
            event.set()
            yield number

    found = ahead(items())
    assert next(found) == 0
    assert made[1].wait(10)
    assert not made[2].wait(0.1)
    assert list(found) == [1, 2]


def test_errors_reach_the_user_in_their_place():
    def items():
        yield 1
        raise ValueError("broken")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="broken"):
        next(found)


def test_it_may_be_left_early():
    made = []
    found = ahead(made.append(number) or number for number in range(100))
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    found.close()
    assert len(made) <= 4
