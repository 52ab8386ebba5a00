import numpy as np
import pytest
import torch
from torch import Tensor

from nas.dataset import batches
from nas.dataset.base import Augmentation, Images
from nas.dataset.batches import Batches, augment, resize
from nas.errors import UserError

MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
NOTHING = Augmentation(shift=0.0, flip=False, cutout=0.0)
BLACK = torch.full((3, 1, 1), -9.0)


def split(n: int = 10, height: int = 6, width: int = 6) -> Images:
    pixels = np.random.default_rng(0).integers(0, 256, (n, 3, height, width), dtype=np.uint8)
    return Images(pixels, np.arange(n, dtype=np.int64))


def wrap(images: Images, cache_bytes: int = 2**20) -> Batches:
    return Batches(images=images, mean=MEAN, std=STD, device="cpu", cache_bytes=cache_bytes)


def expected(images: Images) -> Tensor:
    mean, std = (np.array(v, dtype=np.float32).reshape(3, 1, 1) for v in (MEAN, STD))
    return torch.from_numpy((images.pixels.astype(np.float32) / 255 - mean) / std)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_pixels_are_normalised() -> None:
    images = split()
    torch.testing.assert_close(wrap(images).at(6), expected(images))


@pytest.mark.parametrize("resolution", [4, 9])
def test_whole_split_is_resized_chunk_by_chunk(resolution: int, monkeypatch: pytest.MonkeyPatch) -> None:
    images = split(height=7, width=5)
    whole = torch.nn.functional.interpolate(expected(images), (resolution, resolution), mode="bilinear", antialias=True)
    monkeypatch.setattr(batches, "CHUNK_BYTES", 3 * 3 * 7 * 5 * 4)
    torch.testing.assert_close(wrap(images).at(resolution), whole)


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


def test_an_epoch_has_every_image_at_most_once_with_its_label() -> None:
    images = split(10)
    found = list(wrap(images).shuffled(4, NOTHING, generator()))
    assert [len(labels) for _, labels in found] == [4, 4]
    assert wrap(images).n_shuffled(4) == 2
    labels = torch.cat([labels for _, labels in found])
    assert len(set(labels.tolist())) == 8
    assert labels.tolist() != sorted(labels.tolist())
    torch.testing.assert_close(torch.cat([images for images, _ in found]), expected(images)[labels])


def test_order_and_augmentation_come_from_the_generator() -> None:
    augmentation = Augmentation(shift=0.4, flip=True, cutout=0.5)
    first, again, other = (
        torch.cat([images for images, _ in wrap(split()).shuffled(4, augmentation, generator(seed))])
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_small_splits_are_one_batch_and_never_one_image() -> None:
    assert [len(labels) for _, labels in wrap(split(3)).shuffled(64, NOTHING, generator())] == [3]
    with pytest.raises(UserError, match="2 images or more"):
        next(wrap(split(1)).shuffled(64, NOTHING, generator()))


def test_shift_moves_each_image_and_fills_with_black() -> None:
    images = torch.rand(200, 3, 5, 7) + 1
    moved = augment(images, Augmentation(shift=0.2, flip=False, cutout=0.0), BLACK, generator())
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1), value=-9.0)
    windows = {(i, j): padded[:, :, i : i + 5, j : j + 7] for i in range(3) for j in range(3)}
    seen = set()
    for n in range(200):
        found = [place for place, window in windows.items() if torch.equal(window[n], moved[n])]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) == 9


def test_flip_mirrors_half_of_the_images() -> None:
    images = torch.rand(400, 3, 4, 5)
    changed = augment(images, Augmentation(shift=0.0, flip=True, cutout=0.0), BLACK, generator())
    mirrored = torch.tensor([torch.equal(a, b.flip(2)) for a, b in zip(changed, images, strict=True)])
    same = torch.tensor([torch.equal(a, b) for a, b in zip(changed, images, strict=True)])
    assert bool((mirrored ^ same).all())
    assert 150 < int(mirrored.sum()) < 250


def test_cutout_blanks_a_square_with_the_mean() -> None:
    images = torch.rand(100, 3, 8, 8) + 1
    changed = augment(images, Augmentation(shift=0.0, flip=False, cutout=0.25), BLACK, generator())
    hole = changed == 0
    assert torch.equal(torch.where(hole, images, changed), images)
    assert set(hole[:, 0].sum(dim=(1, 2)).tolist()) <= {1, 2, 4}
    assert int(hole[:, 0].sum(dim=(1, 2)).max()) == 4
    assert torch.equal(hole[:, 0], hole[:, 2])


def test_resizing_to_the_same_side_changes_nothing() -> None:
    images = torch.rand(2, 3, 6, 6)
    assert torch.equal(resize(images, 6), images)
