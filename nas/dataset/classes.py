"""Matching of a model's outputs with a data set's classes, by class name."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from nas.dataset.base import Dataset, Images
from nas.dataset.summary import Channels
from nas.errors import UserError

IMAGENET_CLASSES = 1000

_SYNSET = re.compile(r"n\d{8}")


@dataclass(frozen=True)
class Matched:
    """Data set whose labels are the output indices of a model.

    Attributes:
        dataset: Data set with the model's outputs as classes.
        known: Whether the classes were matched by name; otherwise by their order.
        note: Message for the user, one line; ``None`` if there is nothing to report.
    """

    dataset: Dataset
    known: bool
    note: str | None


@final
class Relabelled(Dataset):
    """Data set with its labels replaced by the output indices of a model, which may have more classes."""

    def __init__(self, dataset: Dataset, class_names: Sequence[str], labels: Sequence[int]) -> None:
        """Wrap a data set.

        Args:
            dataset: Data set with the images and their augmentation.
            class_names: Class names of the model's outputs.
            labels: Index of the model's output for each class of the data set.
        """
        self._dataset, self._labels = dataset, np.array(labels, dtype=np.int64)
        self.class_names, self.fingerprint = tuple(class_names), dataset.fingerprint
        self.mean, self.std, self.augmentation = dataset.mean, dataset.std, dataset.augmentation
        self.resolutions = dataset.resolutions

    def split(self, name: str) -> Images:
        """Return the images of a split."""
        images = self._dataset.split(name)
        return Images(images.pixels, self._labels[images.labels])

    def size(self, name: str) -> int:
        """Return the number of images in a split."""
        return self._dataset.size(name)


def matched(name: str, class_names: Sequence[str] | None, n_classes: int, dataset: Dataset) -> Matched:
    """Match a model's outputs with the classes of a data set, which may have fewer classes than the model.

    Classes are matched by name. If the names of the model or the data set are unknown (``None``, or numbers), they
    are matched by their order.

    Args:
        name: Name of the model, for messages.
        class_names: Class names of the model's outputs; ``None`` if unknown.
        n_classes: Number of the model's outputs.
        dataset: Data set to match.

    Raises:
        UserError: If the data set has a class that the model lacks, or if names are unknown and the numbers of classes
            differ.

    Example:
        >>> from nas.dataset.classes import matched
        >>> from nas.dataset.none import NoImages
        >>> found = matched("my model", ("2", "1", "0"), 3, NoImages(classes=3))
        >>> found.known, found.dataset.class_names
        (True, ('2', '1', '0'))
    """
    order = None if class_names is None else order_of(dataset.class_names, class_names)
    if order is not None and class_names is not None:
        if order == list(range(n_classes)):
            return Matched(dataset, True, None)
        return Matched(Relabelled(dataset, class_names, order), True, _note(name, class_names, dataset))
    if n_classes != dataset.n_classes:
        raise UserError(f"{name} has {n_classes:,} classes, the data set has {dataset.n_classes:,}")
    if class_names is not None and not (_numbers(class_names) or _numbers(dataset.class_names)):
        raise UserError(
            f"{name} has other classes than the data set: {_difference(class_names, dataset.class_names)}; use the "
            f"same names (links to folders will do), or images of its own classes"
        )
    return Matched(dataset, False, taken_in_order(name, dataset))


def taken_in_order(name: str, dataset: Dataset) -> str | None:
    """Return the message for a match by order; ``None`` if the order is known to be right.

    It is known to be right for ImageNet: the outputs of published networks are in the order of its class folders.

    Args:
        name: Name of the model, for messages.
        dataset: Data set with as many classes as the model has outputs.
    """
    names = dataset.class_names
    if len(names) == IMAGENET_CLASSES and all(map(_SYNSET.fullmatch, names)):
        return None
    return (
        f"the names of the classes of {name} are unknown: its outputs are taken for the data set's classes in their "
        f"order, from '{names[0]}' to '{names[-1]}'"
    )


def order_of(names: Sequence[str], among: Sequence[str]) -> list[int] | None:
    """Return the index of each name in ``among``; ``None`` if a name is missing there.

    Example:
        >>> from nas.dataset.classes import order_of
        >>> order_of(["dog", "cat"], ["cat", "bird", "dog"])
        [2, 0]
    """
    places = {_composed(name): place for place, name in enumerate(among)}
    found = [places.get(_composed(name)) for name in names]
    whole = [place for place in found if place is not None]
    return whole if len(whole) == len(names) else None


def _note(name: str, class_names: Sequence[str], dataset: Dataset) -> str:
    if dataset.n_classes == len(class_names):
        return f"the data set has its classes in another order than {name}: they are matched by name"
    return (
        f"the data set has {dataset.n_classes:,} of the {len(class_names):,} classes of {name}, matched by name; an "
        f"answer that is another class counts as wrong"
    )


def _difference(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Return the first names that only the model has, and those that only the data set has."""
    parts = []
    for holder, names, others in (("the model alone has", ours, theirs), ("the data set alone has", theirs, ours)):
        known = set(map(_composed, others))
        alone = [name for name in names if _composed(name) not in known]
        more = f" and {len(alone) - 3:,} more" if len(alone) > 3 else ""
        parts += [f"{holder} {', '.join(map(repr, alone[:3]))}{more}"] * bool(alone)
    return ", ".join(parts)


def _numbers(names: Sequence[str]) -> bool:
    """Return whether names are the numbers 0, 1, ..., the default names of unnamed classes."""
    return list(names) == list(map(str, range(len(names))))


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


@final
class Renormalised(Dataset):
    """Data set with the mean and the standard deviation that a network's weights were trained with."""

    def __init__(self, dataset: Dataset, *, mean: Channels, std: Channels) -> None:
        """Wrap a data set.

        Args:
            dataset: Data set with the images and their augmentation.
            mean: Mean per channel of pixels scaled to 0..1.
            std: Standard deviation per channel of pixels scaled to 0..1.
        """
        self._dataset = dataset
        self.class_names, self.fingerprint = dataset.class_names, dataset.fingerprint
        self.mean, self.std, self.augmentation = mean, std, dataset.augmentation
        self.resolutions = dataset.resolutions

    def split(self, name: str) -> Images:
        """Return the images of a split."""
        return self._dataset.split(name)

    def size(self, name: str) -> int:
        """Return the number of images in a split."""
        return self._dataset.size(name)
