import numpy as np
import pytest

from nas.dataset.splits import fewest, stratified
from nas.errors import UserError

COUNTS = (50, 30, 17, 3)
NAMES = ("ant", "bee", "cat", "dog")
LABELS = np.repeat(np.arange(4), COUNTS)
SIZES = {"test": 20, "validation": 11}
KNOWN_TEST = [2, 7, 12, 20, 21, 29, 31, 33, 41, 47, 56, 65, 67, 69, 77, 78, 81, 91, 95, 99]
KNOWN_VALIDATION = [8, 9, 17, 34, 44, 53, 61, 76, 82, 93, 97]


def test_splits_are_disjoint_complete_and_of_the_exact_sizes() -> None:
    parts = stratified(LABELS, NAMES, SIZES, seed=0)
    assert {name: len(part) for name, part in parts.items()} == {"train": 69, "test": 20, "validation": 11}
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(100))
    assert all(np.all(np.diff(part) > 0) for part in parts.values())


def test_classes_keep_their_proportions_and_small_ones_an_image_in_every_split() -> None:
    parts = stratified(LABELS, NAMES, SIZES, seed=0)
    per_class = {name: np.bincount(LABELS[part], minlength=4).tolist() for name, part in parts.items()}
    # quotas of the test split: 10, 6, 3.4, 0.6; of the validation split: 5.5, 3.3, 1.87, 0.33
    assert per_class["test"] == [10, 6, 3, 1]
    assert per_class["validation"] == [5, 3, 2, 1]
    assert per_class["train"] == [35, 21, 12, 1]


@pytest.mark.parametrize("sizes", [(4, 4), (92, 4), (4, 92), (50, 46), (33, 33)])
def test_every_possible_size_is_exact_and_leaves_every_class_in_every_split(sizes: tuple[int, int]) -> None:
    parts = stratified(LABELS, NAMES, {"test": sizes[0], "validation": sizes[1]}, seed=3)
    assert (len(parts["test"]), len(parts["validation"])) == sizes
    assert all(np.bincount(LABELS[part], minlength=4).min() >= 1 for part in parts.values())


def test_the_seed_alone_decides() -> None:
    first, again, other = (stratified(LABELS, NAMES, SIZES, seed=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not any(np.array_equal(first[name], other[name]) for name in first)


def test_images_are_drawn_at_random_from_a_class() -> None:
    drawn = stratified(LABELS, NAMES, SIZES, seed=0)["test"]
    assert drawn[drawn < 50].tolist() != list(range(10))


def test_the_test_split_does_not_depend_on_the_size_of_the_validation_split() -> None:
    small = stratified(LABELS, NAMES, {"test": 20, "validation": 5}, seed=0)
    large = stratified(LABELS, NAMES, {"test": 20, "validation": 60}, seed=0)
    assert np.array_equal(small["test"], large["test"])


@pytest.mark.parametrize(
    ("labels", "sizes", "message"),
    [
        (
            [0] * 5 + [1] * 5,
            {"test": 2, "validation": 1},
            "dataset.vld_size is 1, but must be at least 2: one image of each class",
        ),
        (
            [0] * 5 + [1] * 5,
            {"test": 5, "validation": 4},
            "dataset.test_size + dataset.vld_size is 9, but must be at most 8: of 10 images, "
            "one of each of the 2 classes has to remain for training",
        ),
        (
            [0] * 5 + [1] * 2,
            {"test": 3, "validation": 4},
            "dataset.test_size + dataset.vld_size is 7, but must be at most 6: of 7 images, "
            "at least 1 image has to remain for training",
        ),
        (
            [0, 1],
            {"validation": 2},
            "dataset.vld_size is 2, but must be at most 1: of 2 images, at least 1 image has to remain for training",
        ),
    ],
)
def test_what_cannot_be_split_is_refused_in_one_line(labels: list[int], sizes: dict[str, int], message: str) -> None:
    with pytest.raises(UserError) as caught:
        stratified(np.array(labels), NAMES[:2], sizes, seed=0)
    assert str(caught.value) == message


def test_known_splits_stay_as_they_are() -> None:
    parts = stratified(LABELS, NAMES, SIZES, seed=0)
    assert parts["test"].tolist() == KNOWN_TEST
    assert parts["validation"].tolist() == KNOWN_VALIDATION


@pytest.mark.parametrize("sizes", [(2, 2), (20, 11), (50, 40), (2, 90), (60, 33)])
def test_a_class_that_is_too_small_is_in_some_splits_only(
    sizes: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    labels = np.repeat(np.arange(4), (50, 2, 45, 1))
    parts = stratified(labels, NAMES, {"test": sizes[0], "validation": sizes[1]}, seed=0)
    assert (len(parts["test"]), len(parts["validation"])) == sizes
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(98))
    for part in parts.values():
        assert np.bincount(labels[part], minlength=4)[[0, 2]].min() >= 1
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("2 of 4 classes have fewer than 3 images, first: 'bee'; classes without ")


def test_classes_of_one_image_are_spread_at_random_and_by_the_seed() -> None:
    names = [str(label) for label in range(1000)]
    first, again, other = (stratified(np.arange(1000), names, {"validation": 300}, seed=s) for s in (0, 0, 1))
    assert np.array_equal(first["validation"], again["validation"])
    assert not np.array_equal(first["validation"], other["validation"])
    assert np.histogram(first["validation"], 4)[0].min() > 50
    assert len(first["train"]) == 700


def test_the_fewest_images_of_a_split() -> None:
    assert fewest(LABELS, 3) == 4
    assert fewest(LABELS, 4) == 3
    assert fewest(np.arange(10), 2) == 1
