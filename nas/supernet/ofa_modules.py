"""Stochastic depth and gradient checkpointing for the blocks of OFA's networks."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


class DropResidual(nn.Module):
    """Stochastic depth (Huang et al. 2016): drops the residual of some images in training and scales up the others."""

    def __init__(self, probability: float) -> None:
        """Set the probability that an image's residual is dropped, at least 0 and less than 1."""
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, side, side) to the same shape."""
        if not self.training:
            return x
        keep = 1 - self.probability
        return x * (x.new_empty(len(x), 1, 1, 1).bernoulli_(keep) / keep)


class Recomputed:
    """Replacement for a module's ``forward`` with gradient checkpointing (Chen et al. 2016).

    In training, the backward pass computes the module a second time. Only the first computation updates batch norm
    statistics.
    """

    def __init__(self, module: nn.Module) -> None:
        """Wrap a module."""
        self.module = module

    def __call__(self, x: Tensor) -> Tensor:
        """Return the module's output."""
        forward = type(self.module).forward
        if not (self.module.training and torch.is_grad_enabled()):
            plain: Tensor = forward(self.module, x)
            return plain
        out: Tensor = checkpoint(forward, self.module, x, use_reentrant=False, context_fn=self._contexts)
        return out

    def _contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), self._frozen_statistics()

    @contextmanager
    def _frozen_statistics(self) -> Iterator[None]:
        norms = [module for module in self.module.modules() if isinstance(module, _BatchNorm)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 0.0
        try:
            yield
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum


def regularize(
    blocks: Iterable[tuple[float, Any, nn.Sequential | None]], drop_path: float, gradient_checkpointing: bool
) -> None:
    """Add stochastic depth and gradient checkpointing to blocks, in place; names of tensors do not change.

    Args:
        blocks: Position (0 for the first block, less than 1 for the others), module and last part of the residual of
            each block; the last part is ``None`` without a shortcut.
        drop_path: Drop probability of the residual at position 1, 0 to 1; it rises linearly from 0 at position 0.
        gradient_checkpointing: Whether training recomputes blocks in the backward pass to save memory.
    """
    for place, block, residual in blocks:
        if drop_path > 0 and residual is not None:
            residual.add_module("drop_path", DropResidual(drop_path * place))
        if gradient_checkpointing:
            block.forward = Recomputed(block)
