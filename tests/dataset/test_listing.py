import numpy as np
import pytest

from nas.dataset.listing import Listing, sample, split_listing
from nas.errors import UserError

LISTING = Listing(
    class_names=("a", "b"),
    paths=tuple(map(str, range(60))),
    labels=np.arange(60) % 2,
    test=np.arange(60) >= 40,
)


def test_splits_are_disjoint_stratified_and_of_the_given_sizes() -> None:
    splits = split_listing(LISTING, train_size=12, vld_size=10, test_size=8, seed=0)
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 12, "validation": 10, "test": 8}
    assert all(np.bincount(LISTING.labels[rows]).tolist() == [len(rows) // 2] * 2 for rows in splits.values())
    assert not set(splits["train"]) & set(splits["validation"])
    assert max(splits["train"].max(), splits["validation"].max()) < 40 <= splits["test"].min()


def test_the_validation_split_depends_on_its_size_and_the_seed_alone() -> None:
    first = split_listing(LISTING, train_size=None, vld_size=10, test_size=None, seed=0)
    second = split_listing(LISTING, train_size=12, vld_size=10, test_size=8, seed=0)
    other = split_listing(LISTING, train_size=None, vld_size=10, test_size=None, seed=1)
    assert first["validation"].tolist() == second["validation"].tolist() != other["validation"].tolist()
    assert sorted(np.concatenate(list(first.values()))) == list(range(60))


def test_a_sample_of_everything_is_everything() -> None:
    rows = np.arange(10)
    assert sample(LISTING, rows, "test", None, 0) is rows
    assert sample(LISTING, rows, "test", 10, 0) is rows
    with pytest.raises(UserError, match=r"dataset\.test_size is 11, but must be at most 8"):
        sample(LISTING, rows, "test", 11, 0)
