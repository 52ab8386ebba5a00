"""PublishedMethod networks of other methods, to look at beside the fronts of runs."""

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
"""Data sets whose test split is that of another one."""


@dataclass(frozen=True)
class PublishedMethod:
    """Networks of one method.

    Attributes:
        method, data, source: Its name, on which images, and where the numbers were read.
        names: Names of the networks.
        values: Top-1 error on the test images in percent and millions of multiply-adds, shape (n, 2).
    """

    method: str
    data: str
    source: str
    names: tuple[str, ...]
    values: Floats


@cache
def published_methods() -> tuple[PublishedMethod, ...]:
    """Return all of ``published.yaml``."""
    found = []
    for entry in yaml.safe_load(SOURCES.read_text()):
        networks = entry["networks"]
        values = np.array([[100 - network["top1"], network["flops"]] for network in networks.values()])
        found.append(PublishedMethod(entry["method"], entry["data"], entry["source"], tuple(networks), values))
    return tuple(found)


def flops_column(comparison: Comparison) -> int | None:
    """Return which objective the multiply-adds are; ``None`` where they, or the error, are none."""
    names = [measure.name for measure in comparison.measures]
    return names.index("flops") if "flops" in names[1:] and names[0] == TOP1_ERROR.name else None


def published_for(comparison: Comparison, methods: Sequence[PublishedMethod]) -> list[PublishedMethod]:
    """Return what was published on the test images of a comparison whose objectives are error and multiply-adds."""
    data = SAME_TEST_IMAGES.get(comparison.data, comparison.data)
    return [method for method in methods if method.data == data and flops_column(comparison) is not None]
