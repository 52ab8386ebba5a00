"""Published networks of other methods, for comparison with the fronts of runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml

from nas.objective.base import TOP1_ERROR
from nas.report.data.comparison import Comparison
from nas.types import Floats

SOURCES = Path(__file__).with_name("published.yaml")

SAME_TEST_IMAGES = {"imagenetv2": "imagenet"}
"""Data sets with the test split of another data set, by name."""


@dataclass(frozen=True)
class PublishedMethod:
    """Published networks of one method.

    Attributes:
        method, data, source: Name of the method, name of the data set, and source of the numbers.
        names: Names of the networks, length n.
        values: Top-1 error on the test split in percent, and millions of multiply-adds, shape (n, 2).

    Example:
        >>> [method.values.shape[1] for method in published_methods()][0]
        2
    """

    method: str
    data: str
    source: str
    names: tuple[str, ...]
    values: Floats


@cache
def published_methods() -> tuple[PublishedMethod, ...]:
    """Return all methods in ``published.yaml``."""
    found = []
    for entry in yaml.safe_load(SOURCES.read_text()):
        networks = entry["networks"]
        values = np.array([[100 - network["top1"], network["flops"]] for network in networks.values()])
        found.append(PublishedMethod(entry["method"], entry["data"], entry["source"], tuple(networks), values))
    return tuple(found)


def flops_column(comparison: Comparison) -> int | None:
    """Return the index of the FLOPs among the objectives; ``None`` if FLOPs or the top-1 error is no objective."""
    names = [measure.name for measure in comparison.measures]
    return names.index("flops") if "flops" in names[1:] and names[0] == TOP1_ERROR.name else None


def published_for(comparison: Comparison, methods: Sequence[PublishedMethod]) -> list[PublishedMethod]:
    """Return the methods with published results on a comparison's test split; empty without FLOPs as an objective."""
    data = SAME_TEST_IMAGES.get(comparison.data, comparison.data)
    return [method for method in methods if method.data == data and flops_column(comparison) is not None]
