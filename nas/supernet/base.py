"""Weight-sharing supernets: one set of weights, many architectures."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TypedDict

from torch import Tensor, nn

from nas.space.base import SearchSpace
from nas.space.table import CostTable
from nas.types import Architecture, NonNegativeInt, PositiveInt, Probability

VERSION = 1
"""Raised whenever the same settings give other networks or other first weights: it is part of every fingerprint."""


class PublishedOptions(TypedDict):
    """Settings of supernets with published weights.

    Attributes:
        n_classes: Outputs of the classifier; where the checkpoint has others, the classifier stays random.
        cache: Folder; the published weights are kept in it.
        resolutions: Sides of the square input, in pixels.
        dropout: Probability that a feature is zeroed in training.
        drop_path: In training, the probability that a layer is dropped for an image; it grows linearly from 0 at the
            first layer to this value after the last one.
        gradient_checkpointing: Whether training computes each layer a second time instead of storing what lies inside
            it.
        seed: Seed of the random weights.
    """

    n_classes: PositiveInt
    cache: Path
    resolutions: tuple[PositiveInt, ...]
    dropout: Probability
    drop_path: Probability
    gradient_checkpointing: bool
    seed: NonNegativeInt


class Supernet(ABC):
    """Base class for supernets: networks whose weights are shared by all architectures of a search space.

    Attributes:
        space: The architectures.
        module: The shared weights; its ``state_dict`` is what checkpoints hold.
        trained: Whether it comes with weights that a search can start from.
        checkpoints: SHA-256 of each file that its weights are from, or ``"random"``; empty where there is no such file.
        fingerprint: SHA-256, as hexadecimal digits, of the settings and the source that define the network and
            its first weights.

    Example:
        >>> import torch
        >>> from nas.space.choices import ChoiceSpace
        >>> class Linear(Supernet):
        ...     trained, fingerprint = False, "1"
        ...     space, module = ChoiceSpace({"width": (2, 4), "r": (8,)}), nn.Linear(4, 10)
        ...     def forward(self, images, architecture):
        ...         width = architecture.config["width"]
        ...         return images.mean((2, 3)).repeat(1, 2)[:, :width] @ self.module.weight[:, :width].T
        ...     def extract(self, architecture):
        ...         raise NotImplementedError("see examples/elastic_cnn")
        ...     def _cost_tables(self):
        ...         return {}
        >>> supernet = Linear()
        >>> supernet.forward(torch.zeros(5, 3, 8, 8), supernet.space.decode(supernet.space.largest)).shape
        torch.Size([5, 10])
    """

    space: SearchSpace
    module: nn.Module
    trained: bool = True
    checkpoints: tuple[str, ...] = ()
    fingerprint: str

    @abstractmethod
    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Run an architecture in place, with the shared weights, as training does.

        Args:
            images: Normalized, shape (n, 3, r, r), r the architecture's resolution.
            architecture: One of ``space``.

        Returns:
            Logits, shape (n, classes).
        """

    @abstractmethod
    def extract(self, architecture: Architecture) -> nn.Module:
        """Return a standalone network of the architecture, in eval mode, with copies of its weights.

        Its batch-norm statistics are the supernet's and must be recalibrated before it is evaluated.
        """

    def costs(self) -> Mapping[str, CostTable]:
        """Return exact integer cost tables, built once; no network is built for them.

        They are ``"macs"``, multiply-adds of convolutions and linear layers of one image, and ``"params"``, weights
        and biases, batch-norm's included.
        """
        return self._tables

    @cached_property
    def _tables(self) -> Mapping[str, CostTable]:
        return self._cost_tables()

    @abstractmethod
    def _cost_tables(self) -> Mapping[str, CostTable]:
        """Build what :meth:`costs` returns."""
