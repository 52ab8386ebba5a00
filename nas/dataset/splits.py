"""Stratified splits: every split holds the classes in the proportions of the whole."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nas.errors import UserError
from nas.seeding import rng_for

logger = logging.getLogger(__name__)

Indices = npt.NDArray[np.int64]

KEYS = {"training": "dataset.train_size", "validation": "dataset.vld_size", "test": "dataset.test_size"}
"""The settings that hold the splits' sizes, for messages."""


def stratified(labels: Indices, class_names: Sequence[str], sizes: Mapping[str, int], seed: int) -> dict[str, Indices]:
    """Split images at random, class by class; what no other split takes is the training split.

    A split of s out of n images gets the share s / n of every class, rounded by largest remainders so that the
    total is exact, with at least one image of every class. A class with fewer images than there are splits is in some
    of them only, at random; a warning says so.

    Args:
        labels: Class indices, shape (n,).
        class_names: One a class, for messages.
        sizes: Images of each split but ``"train"``, by name (a key of ``KEYS``). Splits are drawn in this order, so
            the first one stays the same whatever the size of the second.
        seed: Equal arguments give equal splits.

    Returns:
        Ascending indices into ``labels`` by split, disjoint and together all of them.

    Raises:
        UserError: If a size is too small or too large.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    needed = len(sizes) + 1
    enough = counts >= needed
    _check_sizes(counts, enough, sizes)
    rng = rng_for(seed, 0, "split")
    rest = [rng.permutation(np.flatnonzero(labels == label)) for label in range(len(class_names))]
    chance = np.where(enough, 0.0, rng_for(seed, 0, "small classes").uniform(0, 1e-6, len(counts)))
    parts: dict[str, Indices] = {}
    for position, (name, size) in enumerate(sizes.items()):
        most = np.array([len(members) for members in rest]) - np.where(enough, len(sizes) - position, 0)
        takes = _apportion(counts * size / len(labels) + chance, size, enough.astype(np.int64), most)
        parts[name] = np.sort(np.concatenate([members[:take] for members, take in zip(rest, takes, strict=True)]))
        rest = [members[take:] for members, take in zip(rest, takes, strict=True)]
    parts = {"train": np.sort(np.concatenate(rest)), **parts}
    if not enough.all():
        _warn(labels, class_names, enough, parts)
    return parts


def fewest(labels: Indices, n_splits: int) -> int:
    """Return the fewest images that a split can have beside ``n_splits - 1`` others: one of each class with enough."""
    return max(1, int((np.bincount(labels) >= n_splits).sum()))


def _warn(
    labels: Indices, class_names: Sequence[str], enough: npt.NDArray[np.bool_], parts: Mapping[str, Indices]
) -> None:
    """Say once which classes are too small for every split, and how many each split lacks."""
    lacks = {name: len(class_names) - len(np.unique(labels[part])) for name, part in parts.items()}
    logger.warning(
        "%s of %s classes have fewer than %d images, first: '%s'; classes without an image: %s",
        f"{int((~enough).sum()):,}",
        f"{len(class_names):,}",
        len(parts),
        class_names[int(np.argmin(enough))],
        ", ".join(f"{n:,} in the {name} split" for name, n in lacks.items() if n),
    )


def _check_sizes(counts: Indices, enough: npt.NDArray[np.bool_], sizes: Mapping[str, int]) -> None:
    """Raise UserError unless every split can have an image of every class that has enough of them."""
    n, classes = int(counts.sum()), int(enough.sum())
    kind = "class" if enough.all() else "class that is large enough"
    for name, size in sizes.items():
        if size < classes:
            raise UserError(f"{KEYS[name]} is {size:,}, but must be at least {classes:,}: one image of each {kind}")
    total, largest = sum(sizes.values()), n - max(1, classes)
    if total > largest:
        remaining = f"one of each of the {classes:,} classes" if enough.all() else f"at least {_images(n - largest)}"
        raise UserError(
            f"{' + '.join(KEYS[name] for name in sizes)} is {total:,}, but must be at most {largest:,}: of "
            f"{_images(n)}, {remaining} has to remain for training"
        )


def _apportion(quotas: npt.NDArray[np.float64], total: int, least: Indices, most: Indices) -> Indices:
    """Round quotas to integers from ``least`` to ``most`` that add up to ``total``, by largest remainders, (k,)."""
    takes = np.clip(np.floor(quotas).astype(np.int64), least, most)
    while takes.sum() < total:
        takes[np.argmax(np.where(takes < most, quotas - takes, -np.inf))] += 1
    while takes.sum() > total:
        takes[np.argmax(np.where(takes > least, takes - quotas, -np.inf))] -= 1
    return takes


def _images(n: int) -> str:
    return f"{n:,} image{'' if n == 1 else 's'}"
