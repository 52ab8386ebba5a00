from typing import Any

import numpy as np
import pytest

from nas.dataset.base import Augmentation
from nas.dataset.digits import Digits
from nas.errors import UserError

SETTINGS: dict[str, Any] = {
    "split_seed": 0,
    "vld_size": 450,
    "test_size": 450,
    "resolutions": (8, 12),
    "mean": None,
    "std": None,
    "augmentation": Augmentation(shift=0.125, flip=False, cutout=0.25),
}


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits(**SETTINGS)


def test_splits_hold_all_images_once(digits: Digits) -> None:
    splits = [digits.split(name) for name in ("train", "validation", "test")]
    assert [len(images) for images in splits] == [897, 450, 450]
    labels = np.concatenate([images.labels for images in splits])
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    # the package's images: each one's sum of values 0 to 16, and no two are equal
    images = np.concatenate([images.pixels for images in splits])
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == 1797


def test_every_split_has_the_classes_in_equal_parts(digits: Digits) -> None:
    for name in ("validation", "test"):
        assert set(np.bincount(digits.split(name).labels)) <= {43, 44, 45, 46}


def test_pixels_are_gray_values_over_the_whole_range(digits: Digits) -> None:
    train = digits.split("train")
    assert (train.pixels.shape, train.pixels.dtype, train.labels.dtype) == ((897, 3, 8, 8), np.uint8, np.int64)
    assert np.array_equal(train.pixels[:, 0], train.pixels[:, 1])
    assert np.array_equal(train.pixels[:, 0], train.pixels[:, 2])
    assert np.unique(train.pixels).tolist() == np.rint(np.arange(17) * 255 / 16).astype(int).tolist()


def test_images_belong_to_their_labels(digits: Digits) -> None:
    train, test = digits.split("train"), digits.split("test")
    known, asked = (images.pixels[:, 0].reshape(-1, 64).astype(np.int64) for images in (train, test))
    distances = (asked**2).sum(1)[:, None] - 2 * asked @ known.T + (known**2).sum(1)
    assert np.mean(train.labels[distances.argmin(axis=1)] == test.labels) > 0.95


def test_mean_and_std_are_those_of_the_training_images(digits: Digits) -> None:
    scaled = digits.split("train").pixels / 255
    np.testing.assert_allclose(digits.mean, scaled.mean(axis=(0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(digits.std, scaled.std(axis=(0, 2, 3)), atol=1e-6)


def test_settings_arrive(digits: Digits) -> None:
    assert digits.augmentation == Augmentation(shift=0.125, flip=False, cutout=0.25)
    assert digits.resolutions == (8, 12)
    assert digits.class_names == tuple("0123456789")
    assert digits.n_classes == 10


def test_equal_settings_give_equal_fingerprints_and_another_split_another(digits: Digits) -> None:
    assert Digits(**SETTINGS).fingerprint == digits.fingerprint
    assert Digits(**SETTINGS | {"split_seed": 1}).fingerprint != digits.fingerprint
    assert Digits(**SETTINGS | {"vld_size": 449}).fingerprint != digits.fingerprint


def test_splits_that_leave_nothing_for_training_are_refused() -> None:
    with pytest.raises(UserError, match=r"dataset\.vld_size is 1,795, but must be at most 1,787"):
        Digits(**SETTINGS | {"vld_size": 1345})
    with pytest.raises(UserError, match=r"dataset\.vld_size is 9, but must be at least 10"):
        Digits(**SETTINGS | {"vld_size": 9})
