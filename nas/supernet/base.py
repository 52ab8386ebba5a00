"""Base class for weight-sharing supernets: one set of weights for many architectures."""

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
"""Version of the networks and their initial weights, part of every fingerprint.

Increase it whenever the same settings give other networks or other initial weights.
"""


class PublishedOptions(TypedDict):
    """Settings that all supernets with published weights share.

    Attributes:
        n_classes: Number of outputs of the classifier. If the checkpoint has another number, the classifier keeps its
            random weights.
        cache: Folder for the downloaded weights.
        resolutions: Choices of the input resolution (side of the square image) in pixels, ascending.
        dropout: Dropout probability of the features before the classifier, 0 to 1, in training.
        drop_path: Probability in training, 0 to 1, that a layer is dropped for an image (stochastic depth); it rises
            linearly from 0 at the first layer to this value after the last one.
        gradient_checkpointing: Whether training recomputes each layer in the backward pass to save memory.
        seed: Seed of the random weights, 0 or more.
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
        space: Search space of the architectures.
        module: Module with the shared weights. Checkpoints store its ``state_dict``.
        trained: Whether the supernet comes with weights that a search can start from.
        checkpoints: SHA-256 digest of each file that the weights were read from, or ``"random"``; empty if the supernet
            has no checkpoint files.
        fingerprint: SHA-256 digest (hexadecimal digits) of the settings and the source that define the network and its
            initial weights.

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
        ...         return Slice(copy.deepcopy(self.module), architecture.config["width"])  # a module of the user's
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
        """Run an architecture with the shared weights, as training does.

        Args:
            images: Normalized images, shape (n, 3, r, r), r the architecture's resolution.
            architecture: Architecture of ``space``.

        Returns:
            Logits, shape (n, classes).
        """

    @abstractmethod
    def extract(self, architecture: Architecture) -> nn.Module:
        """Return a standalone network of the architecture, in eval mode, with copies of its weights.

        Its batch norm statistics are copied from the supernet. Recalibrate them before evaluating the network.
        """

    def costs(self) -> Mapping[str, CostTable]:
        """Return exact integer cost tables; they are built once, without building a network.

        ``"macs"`` counts the multiply-adds of convolutions and linear layers for one image. ``"params"`` counts the
        weights and biases, including those of batch norm.
        """
        return self._tables

    @cached_property
    def _tables(self) -> Mapping[str, CostTable]:
        return self._cost_tables()

    @abstractmethod
    def _cost_tables(self) -> Mapping[str, CostTable]:
        """Build the tables that :meth:`costs` returns."""
