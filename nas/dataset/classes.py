"""A model's outputs and a data set's classes, matched by the names of the classes."""

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
    """Images with the labels that a model has for their classes.

    Attributes:
        dataset: With the model's outputs as classes.
        known: Whether names of classes told it.
        note: Message for the user, one line; ``None`` if names and order are equal.
    """

    dataset: Dataset
    known: bool
    note: str | None


@final
class Relabelled(Dataset):
    """A data set whose labels are the outputs of a model with at least its classes, in another order."""

    def __init__(self, dataset: Dataset, class_names: Sequence[str], labels: Sequence[int]) -> None:
        """Take the images.

        Args:
            dataset: The images, and how they are augmented.
            class_names: Class names of the model's outputs.
            labels: Labels of the data set's classes in the model's order.
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
        """Return how many images a split has."""
        return self._dataset.size(name)


def matched(name: str, class_names: Sequence[str] | None, n_classes: int, dataset: Dataset) -> Matched:
    """Match a model's outputs with the classes of a data set, whose classes may be fewer.

    Args:
        name: Name of the model, for messages.
        class_names: Class names of the model's outputs; ``None`` if unknown.
        n_classes: Outputs.
        dataset: The images.

    Raises:
        UserError: If the data set has a class that the model lacks, or, without names, another number of classes.
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
    """Return what to say where outputs are taken for classes in their order; ``None`` where that is surely right.

    Outputs of published networks are in the order of ImageNet's class folders.

    Args:
        name: Name of the model, for messages.
        dataset: With as many classes as the model has outputs.
    """
    names = dataset.class_names
    if len(names) == IMAGENET_CLASSES and all(map(_SYNSET.fullmatch, names)):
        return None
    return (
        f"the names of the classes of {name} are unknown: its outputs are taken for the data set's classes in their "
        f"order, from '{names[0]}' to '{names[-1]}'"
    )


def order_of(names: Sequence[str], among: Sequence[str]) -> list[int] | None:
    """Return where names are among others; ``None`` if one is not there."""
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
    """Return the first names that one of them has alone."""
    parts = []
    for holder, names, others in (("the model alone has", ours, theirs), ("the data set alone has", theirs, ours)):
        known = set(map(_composed, others))
        alone = [name for name in names if _composed(name) not in known]
        more = f" and {len(alone) - 3:,} more" if len(alone) > 3 else ""
        parts += [f"{holder} {', '.join(map(repr, alone[:3]))}{more}"] * bool(alone)
    return ", ".join(parts)


def _numbers(names: Sequence[str]) -> bool:
    """Return whether names are but places, as they are where nobody gave any."""
    return list(names) == list(map(str, range(len(names))))


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


@final
class Renormalised(Dataset):
    """A data set with the mean and the standard deviation that a network's weights were trained with."""

    def __init__(self, dataset: Dataset, *, mean: Channels, std: Channels) -> None:
        """Take the images.

        Args:
            dataset: The images, and how they are augmented.
            mean: Subtracted from pixels scaled to 0..1, per channel.
            std: Divisor of the pixels after the mean is subtracted, per channel.
        """
        self._dataset = dataset
        self.class_names, self.fingerprint = dataset.class_names, dataset.fingerprint
        self.mean, self.std, self.augmentation = mean, std, dataset.augmentation
        self.resolutions = dataset.resolutions

    def split(self, name: str) -> Images:
        """Return the images of a split."""
        return self._dataset.split(name)

    def size(self, name: str) -> int:
        """Return how many images a split has."""
        return self._dataset.size(name)
