"""Batch-norm statistics of subnets, which the supernet's do not fit (Yu & Huang 2019, section 3.3)."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def recalibrate(networks: Sequence[nn.Module], batches: Iterable[Tensor]) -> None:
    """Replace all batch-norm statistics by their averages over batches of images; the networks end in eval mode.

    Args:
        networks: whose ``running_mean`` and ``running_var`` are replaced; other modules stay in eval mode. All of
            them see a batch before the next one is asked for.
        batches: normalised images, each (b, 3, r, r), b at least 2 and about equal.
    """
    for network in networks:
        network.eval()
    norms = [module for network in networks for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
        norm.train()
    for images in batches:
        for network in networks:
            network(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
