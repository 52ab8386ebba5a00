import numpy as np
import pytest

from nas.dataset.splits import stratified
from nas.errors import UserError

COUNTS = (50, 30, 17, 3)
NAMES = ("ant", "bee", "cat", "dog")
LABELS = np.repeat(np.arange(4), COUNTS)
SIZES = {"test": 20, "validation": 11}


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
            [0, 0, 0, 1],
            {"test": 2, "validation": 2},
            "class 'bee' has 1 image, but needs 3: one for each of the splits train, test, validation",
        ),
        (
            [0, 1, 1, 1],
            {"validation": 2},
            "class 'ant' has 1 image, but needs 2: one for each of the splits train, validation",
        ),
        (
            [0, 1],
            {"validation": 2},
            "class 'ant' has 1 image, but needs 2: one for each of the splits train, validation "
            "(2 of 2 classes have too few)",
        ),
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
    ],
)
def test_what_cannot_be_split_is_refused_in_one_line(labels: list[int], sizes: dict[str, int], message: str) -> None:
    with pytest.raises(UserError) as caught:
        stratified(np.array(labels), NAMES[:2], sizes, seed=0)
    assert str(caught.value) == message
