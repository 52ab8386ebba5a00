"""Stratified splits: every split has the class proportions of the whole data set."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nas.errors import UserError
from nas.seeding import rng_for

logger = logging.getLogger(__name__)

Indices = npt.NDArray[np.int64]

KEYS = {"training": "dataset.train_size", "validation": "dataset.vld_size", "test": "dataset.test_size"}
"""Names of the settings with the splits' sizes, for messages."""


def stratified(labels: Indices, class_names: Sequence[str], sizes: Mapping[str, int], seed: int) -> dict[str, Indices]:
    """Split images at random within each class; the training split gets the remaining images.

    A split with s of n images gets the share s / n of every class, and at least one image of it. Shares are rounded
    by largest remainders, so that the total is exact. A class with fewer images than there are splits is in a random
    choice of the splits; a warning says so.

    Args:
        labels: Class indices, shape (n,).
        class_names: Names of the classes, for messages.
        sizes: Number of images of each split except ``"train"``, by name (a key of ``KEYS``). Splits are drawn in
            this order, so the first one does not depend on the sizes of the others.
        seed: Seed of the draws.

    Returns:
        Ascending indices into ``labels`` by split. They are disjoint and cover all images.

    Raises:
        UserError: If a size is too small or too large.

    Example:
        >>> import numpy as np
        >>> from nas.dataset.splits import stratified
        >>> labels = np.repeat([0, 1], [8, 4])
        >>> splits = stratified(labels, ["a", "b"], {"validation": 3}, seed=0)
        >>> {name: np.bincount(labels[rows]).tolist() for name, rows in splits.items()}
        {'train': [6, 3], 'validation': [2, 1]}
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
    """Return the smallest possible size of one of ``n_splits`` splits.

    It is one image of each class that has at least ``n_splits`` images.
    """
    return max(1, int((np.bincount(labels) >= n_splits).sum()))


def _warn(
    labels: Indices, class_names: Sequence[str], enough: npt.NDArray[np.bool_], parts: Mapping[str, Indices]
) -> None:
    """Log a warning that counts the classes with too few images for every split, and those that each split lacks."""
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
    """Raise UserError unless every split can have an image of every class that has enough images."""
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
    """Round quotas, (k,), to integers from ``least`` to ``most`` whose sum is ``total``, by largest remainders."""
    takes = np.clip(np.floor(quotas).astype(np.int64), least, most)
    while takes.sum() < total:
        takes[np.argmax(np.where(takes < most, quotas - takes, -np.inf))] += 1
    while takes.sum() > total:
        takes[np.argmax(np.where(takes > least, takes - quotas, -np.inf))] -= 1
    return takes


def _images(n: int) -> str:
    return f"{n:,} image{'' if n == 1 else 's'}"
