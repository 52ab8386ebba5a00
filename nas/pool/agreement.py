"""Checks that all models of a pool were asked the same questions."""

from collections.abc import Sequence

import numpy as np

from nas.errors import UserError
from nas.pool.base import SPLITS
from nas.pool.model import Model


def check_agreement(models: Sequence[Model]) -> None:
    """Raise UserError, naming two models, if they differ in classes, data, splits, sizes or labels."""
    first = models[0]
    for other in models[1:]:
        difference = _difference(first, other)
        if difference is not None:
            raise UserError(f"the pool's models {first.name} and {other.name} do not fit each other: {difference}")


def _difference(first: Model, other: Model) -> str | None:
    """Return what two models disagree about; ``None`` if nothing."""
    if len(first.class_names) != len(other.class_names):
        return f"{len(first.class_names):,} and {len(other.class_names):,} classes"
    for label, (a, b) in enumerate(zip(first.class_names, other.class_names, strict=True)):
        if a != b:
            return f"class {label} is '{a}' and '{b}'"
    for key in sorted(first.data.keys() | other.data.keys()):
        if first.data.get(key) != other.data.get(key):
            return f"their data differ, {key} is {first.data.get(key)} and {other.data.get(key)}"
    return _labels(first, other)


def _labels(first: Model, other: Model) -> str | None:
    """Return what two models disagree about in their splits; ``None`` if nothing."""
    if first.labels.keys() != other.labels.keys():
        return f"outputs on {', '.join(first.labels)} and on {', '.join(other.labels)}"
    for split in SPLITS:
        if split in first.labels and first.labels[split] is not other.labels[split]:
            mine, theirs = first.labels[split], other.labels[split]
            if len(mine) != len(theirs):
                return f"{len(mine):,} and {len(theirs):,} {split} images"
            if not np.array_equal(mine, theirs):
                image = int(np.flatnonzero(mine != theirs)[0])
                return f"the label of {split} image {image} is {mine[image]} and {theirs[image]}"
    return None
