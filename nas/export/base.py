"""Formats: what they share."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from nas import __version__
from nas.model.base import CASCADE, Model

INPUT = "images"
"""The name of the only input: float32, (n, 3, height, width)."""

ABOUT = "about.json"
"""The extra file in formats of torch that holds what a file says about itself."""

LOGITS = "logits"
"""The name of a single network's only output: float32, (n, c)."""

Arrays = Mapping[str, npt.NDArray[Any]]
Images = npt.NDArray[np.float32]
Run = Callable[[Images], Arrays]


@dataclass(frozen=True)
class Source:
    """Model to export.

    Attributes:
        network: On the CPU, in eval mode: :class:`nas.pool.prepared.Prepared`, a cascade of such, or, without
            preprocessing, any network.
        example: Images that it takes, (n, 3, height, width), n at least 2.
        free_sides: Whether the file takes images of other heights and widths too, see :meth:`Format.free_sides`; any
            number of images from 1 on is always taken.
        about: Descriptions in the file, texts by name.
    """

    network: nn.Module
    example: Images
    free_sides: bool
    about: Mapping[str, str]


class Format(ABC):
    """A kind of file.

    Attributes:
        ending: Ending of the file's name.
    """

    ending: str

    @abstractmethod
    def free_sides(self, network: nn.Module) -> bool:
        """Return whether a file of the network can take images of any height and width."""

    @abstractmethod
    def write(self, source: Source, path: Path) -> None:
        """Write the file.

        Raises:
            RunError: If the format cannot express the network.
        """

    @abstractmethod
    def read(self, path: Path, threads: int) -> Run:
        """Return a function that runs the file on the CPU: images to outputs by name.

        Args:
            path: A file that :meth:`write` wrote.
            threads: Number of threads of an operation.
        """


_KEYS = ("kind", "n_classes", "class_names", "resolution", "mean", "std", "crop", "rule", "limits", "network_costs")
_FACTS = ("costs", "objectives", "units", "metrics", "weights")
INPUT_ALONE = ("resolution", "mean", "std", "crop")
"""What describes a network's own input, which the networks of a cascade may have each their own of."""


def about(model: Model, *, preprocessing: bool, free_sides: bool, sides: tuple[int, int]) -> dict[str, str]:
    """Return the metadata of a file, texts by name; what is no text is JSON.

    Args:
        model: Model to export.
        preprocessing: Whether the file's graph changes images itself.
        free_sides: Whether it takes images of any height and width.
        sides: Height and width of images that it takes in any case.
    """
    described = model.described
    found: dict[str, Any] = {key: described[key] for key in (*_KEYS, *_FACTS) if described.get(key) is not None}
    if model.members:
        found["networks"] = [
            {key: member.described[key] for key in ("name", *INPUT_ALONE, "weights")} for member in model.members
        ]
    found |= {"name": model.name, "nas": __version__, "preprocessing": preprocessing}
    found |= {"description": _description(model, preprocessing, free_sides, sides)}
    return {
        key: value if isinstance(value, str) else json.dumps(value, allow_nan=False) for key, value in found.items()
    }


def _description(model: Model, preprocessing: bool, free_sides: bool, sides: tuple[int, int]) -> str:
    height, width = ("height", "width") if free_sides else sides
    pixels = "pixels scaled to 0..1" if preprocessing else "normalised pixels"
    returned = (
        "probabilities (n, classes), predictions (n), stages (n), costs in millions of multiply-adds (n)"
        if model.described["kind"] == CASCADE
        else "logits (n, classes)"
    )
    return f"images (n, 3, {height}, {width}), float32, RGB, {pixels}, to {returned}"


def summary(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a report says about the model."""
    return {
        key: described[key] for key in ("name", "kind", "source", "weights", "costs", "objectives") if key in described
    }
