"""Formats: what they share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

INPUT = "images"
"""The name of the only input: float32, (n, 3, height, width)."""

LOGITS = "logits"
"""The name of a single network's only output: float32, (n, c)."""

Arrays = Mapping[str, npt.NDArray[Any]]
Images = npt.NDArray[np.float32]
Run = Callable[[Images], Arrays]


@dataclass(frozen=True)
class Source:
    """What is exported.

    Attributes:
        network: on the CPU, in eval mode: :class:`nas.pool.prepared.Prepared`, a cascade of such, or, without
            preprocessing, any network.
        example: images that it takes, (n, 3, height, width), n at least 2.
        free_sides: whether the file takes images of other heights and widths too, see :meth:`Format.free_sides`; any
            number of images from 1 on is always taken.
        about: what the file says about itself, texts by name.
    """

    network: nn.Module
    example: Images
    free_sides: bool
    about: Mapping[str, str]


class Format(ABC):
    """A kind of file.

    Attributes:
        ending: of the file's name.
    """

    ending: str

    @abstractmethod
    def free_sides(self, network: nn.Module) -> bool:
        """Return whether a file of the network can take images of any height and width."""

    @abstractmethod
    def write(self, source: Source, path: Path) -> None:
        """Write the file.

        Raises:
            RunError: if the format cannot express the network.
        """

    @abstractmethod
    def read(self, path: Path, threads: int) -> Run:
        """Return what runs the file on the CPU, as its users do: images to outputs by name.

        Args:
            path: a file that :meth:`write` wrote.
            threads: of an operation.
        """
