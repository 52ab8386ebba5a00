"""Stratified splits: every split holds the classes in the proportions of the whole."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nas.errors import UserError
from nas.seeding import rng_for

Indices = npt.NDArray[np.int64]

KEYS = {"training": "dataset.train_size", "validation": "dataset.vld_size", "test": "dataset.test_size"}
"""The settings that hold the splits' sizes, for messages."""


def stratified(labels: Indices, class_names: Sequence[str], sizes: Mapping[str, int], seed: int) -> dict[str, Indices]:
    """Split images at random, class by class; what no other split takes is the training split.

    A split of s out of n images gets the share s / n of every class, rounded by largest remainders so that the
    total is exact, with at least one image of every class.

    Args:
        labels: class indices, shape (n,).
        class_names: one a class, for messages.
        sizes: images of each split but ``"train"``, by name (a key of ``KEYS``). Splits are drawn in this order, so
            the first one stays the same whatever the size of the second.
        seed: equal arguments give equal splits.

    Returns:
        Ascending indices into ``labels`` by split, disjoint and together all of them.

    Raises:
        UserError: if a class is too small for one image in every split, or a size is too small or too large.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    _check(counts, class_names, sizes)
    rng = rng_for(seed, 0, "split")
    rest = [rng.permutation(np.flatnonzero(labels == label)) for label in range(len(class_names))]
    parts: dict[str, Indices] = {}
    for position, (name, size) in enumerate(sizes.items()):
        most = np.array([len(members) for members in rest]) - (len(sizes) - position)
        takes = _apportion(counts * size / len(labels), size, most)
        parts[name] = np.sort(np.concatenate([members[:take] for members, take in zip(rest, takes, strict=True)]))
        rest = [members[take:] for members, take in zip(rest, takes, strict=True)]
    return {"train": np.sort(np.concatenate(rest)), **parts}


def _check(counts: Indices, class_names: Sequence[str], sizes: Mapping[str, int]) -> None:
    """Raise UserError unless every split can have an image of every class."""
    needed = len(sizes) + 1
    small = np.flatnonzero(counts < needed)
    if len(small):
        others = f" ({len(small):,} of {len(counts):,} classes have too few)" if len(small) > 1 else ""
        raise UserError(
            f"class '{class_names[small[0]]}' has {_images(int(counts[small[0]]))}, but needs {needed}: "
            f"one for each of the splits {', '.join(['train', *sizes])}{others}"
        )
    for name, size in sizes.items():
        if size < len(counts):
            raise UserError(f"{KEYS[name]} is {size:,}, but must be at least {len(counts):,}: one image of each class")
    total, largest = sum(sizes.values()), int(counts.sum()) - len(counts)
    if total > largest:
        raise UserError(
            f"{' + '.join(KEYS[name] for name in sizes)} is {total:,}, but must be at most {largest:,}: of "
            f"{_images(int(counts.sum()))}, one of each of the {len(counts):,} classes has to remain for training"
        )


def _apportion(quotas: npt.NDArray[np.float64], total: int, most: Indices) -> Indices:
    """Round quotas to integers from 1 to ``most`` that add up to ``total``, by largest remainders, shape (k,)."""
    takes = np.clip(np.floor(quotas).astype(np.int64), 1, most)
    while takes.sum() < total:
        takes[np.argmax(np.where(takes < most, quotas - takes, -np.inf))] += 1
    while takes.sum() > total:
        takes[np.argmax(np.where(takes > 1, takes - quotas, -np.inf))] -= 1
    return takes


def _images(n: int) -> str:
    return f"{n:,} image{'' if n == 1 else 's'}"
