"""What fine-tuning adds to the blocks of OFA's networks: stochastic depth and gradient checkpointing."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


class DropResidual(nn.Module):
    """Drops a block's residual for some images in training (Huang et al. 2016), and scales it up for the others."""

    def __init__(self, probability: float) -> None:
        """Take the probability that an image's residual is dropped, less than 1."""
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, side, side) to the same shape."""
        if not self.training:
            return x
        keep = 1 - self.probability
        return x * (x.new_empty(len(x), 1, 1, 1).bernoulli_(keep) / keep)


class Recomputed:
    """Takes the place of a module's ``forward`` and computes it again in the backward pass (Chen et al. 2016).

    It does so in training alone, and batch-norm statistics change in the first computation alone.
    """

    def __init__(self, module: nn.Module) -> None:
        """Take the module."""
        self.module = module

    def __call__(self, x: Tensor) -> Tensor:
        """Compute what the module does."""
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
    """Add stochastic depth and gradient checkpointing to blocks; names of tensors stay.

    Args:
        blocks: Position (0 at the first block to less than 1), module and end of the residual of each block; the latter
            is ``None`` without a shortcut.
        drop_path: Probability of dropping the residual of a block at 1; it rises linearly from 0.
        gradient_checkpointing: Whether blocks are computed again in the backward pass, to need less memory.
    """
    for place, block, residual in blocks:
        if drop_path > 0 and residual is not None:
            residual.add_module("drop_path", DropResidual(drop_path * place))
        if gradient_checkpointing:
            block.forward = Recomputed(block)
