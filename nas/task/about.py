"""Description of a search in a few lines, for its start."""

from collections.abc import Mapping, Sequence
from math import log10
from typing import Literal

from nas.dataset.base import Dataset
from nas.pool.base import Pool
from nas.pool.none import NoPool
from nas.run.box import Box
from nas.space.base import SearchSpace
from nas.types import Measure

_EXACT = 1_000_000
"""Largest number of architectures that is printed exactly; larger numbers are printed as powers of 10."""


def split_sizes(dataset: Dataset, pool: Pool) -> dict[str, int]:
    """Return the number of images of each split, by its name; empty if the data set has no images, as in benchmarks."""
    if not isinstance(pool, NoPool):
        return {split: pool.size(split) for split in pool.splits}
    return {name: size for name, size in dataset.sizes().items() if name != "classes"}


def data_line(name: str, n_classes: int, images: Mapping[str, int]) -> str:
    """Return a description of the data set: ``digits, 1,797 images, 10 classes, split 897/450/450 ...``."""
    if not images:
        return f"{name}, {n_classes:,} classes"
    sizes, names = "/".join(f"{n:,}" for n in images.values()), "/".join(images)
    return f"{name}, {sum(images.values()):,} images, {n_classes:,} classes, split {sizes} ({names})"


def space_line(space: SearchSpace, constraints: Mapping[str, Mapping[Literal["min", "max"], float | None]]) -> str:
    """Return a description of the search space's size and constraints.

    Example: ``45 genes, about 10^13 architectures; of these, those with flops at most 2``.
    """
    size = space.size()
    parts = [f"{space.n_genes:,} genes"]
    if size is not None:
        number = f"{size:,}" if size < _EXACT else f"about 10^{round(log10(size))}"
        parts.append(f"{number} architecture{'' if size == 1 else 's'}")
    words: Mapping[Literal["min", "max"], str] = {"min": "at least", "max": "at most"}
    bounds = [
        f"{cost} {words[end]} {value:g}"
        for cost, limits in constraints.items()
        for end, value in limits.items()
        if value is not None
    ]
    return ", ".join(parts) + (f"; of these, those with {' and '.join(bounds)}" if bounds else "")


def minimised_line(measures: Sequence[Measure]) -> str:
    """Return the names of the objectives, the error first."""
    error, *others = [measure.label for measure in measures]
    return ", ".join([f"{error} on the validation split", *others])


def box_line(box: Box | None, measures: Sequence[Measure]) -> str:
    """Return a description of the box that hypervolumes are a share of."""
    if box is not None:
        return f"share of the box {box.words(measures)}"
    return "share of this run's own box, from its initial design: not comparable with other runs, set reference_point"
