"""Batch norm recalibration: subnets need other statistics than the supernet (Yu & Huang 2019, section 3.3)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas.dataset.base import Dataset, Images
from nas.dataset.training_batches import TrainingBatches
from nas.seeding import rng_for
from nas.types import NonNegativeInt, PositiveInt


@torch.no_grad()
def recalibrate(networks: Sequence[nn.Module], batches: Iterable[Tensor]) -> None:
    """Replace all batch norm statistics by averages over batches of images; leave the networks in eval mode.

    Args:
        networks: Networks whose ``running_mean`` and ``running_var`` are replaced. Other modules stay in eval mode.
            Each batch is passed through all networks before the next batch is requested.
        batches: Batches of normalized images, each of shape (b, 3, r, r), with b at least 2 and about equal.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from nas.evaluator.recalibration import recalibrate
        >>> network = nn.BatchNorm2d(3)
        >>> recalibrate([network], [torch.full((2, 3, 4, 4), 5.0)])
        >>> network.running_mean.tolist(), network.training
        ([5.0, 5.0, 5.0], False)
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


def training_sample(dataset: Dataset, n: PositiveInt, seed: NonNegativeInt) -> Images:
    """Return n random training images, in the order of the split.

    Args:
        dataset: Data set whose training split is sampled.
        n: Number of images; all images are returned if the split has fewer.
        seed: Random seed of the sample.
    """
    train = dataset.split("train")
    chosen = rng_for(seed, 0, "recalibration").permutation(len(train))[:n]
    chosen.sort()
    return Images(train.pixels[chosen], train.labels[chosen])


@final
class Augmented:
    """Augmented training images for recalibration, the same images in each pass."""

    def __init__(
        self,
        *,
        images: Images,
        dataset: Dataset,
        batch_size: PositiveInt,
        seed: NonNegativeInt,
        device: torch.device | str,
        cache_bytes: NonNegativeInt,
    ) -> None:
        """Describe the batches; no image is read yet.

        Args:
            images: Subset of the training split.
            dataset: Data set that provides normalization and augmentation.
            batch_size: Number of images per batch; a last incomplete batch is left out.
            seed: Random seed of the augmentation.
            device: Torch device of the batches.
            cache_bytes: Maximum memory on the device for the batches of the last resolution, in bytes. If the batches
                need more, they are computed again in each pass.
        """
        self._batches = TrainingBatches(dataset=_Part(images, dataset), batch_size=batch_size, seed=seed, device=device)
        self._cache_bytes = cache_bytes
        self._cached: tuple[int, list[Tensor]] = (0, [])

    def at(self, resolution: PositiveInt) -> Iterator[Tensor]:
        """Yield batches of normalized images, shape (b, 3, resolution, resolution)."""
        if self._cached[0] == resolution:
            yield from self._cached[1]
            return
        self._cached = (0, [])  # free the memory before new batches are made
        kept: list[Tensor] | None = []
        for images, _ in self._batches.epoch(0, [resolution] * len(self._batches)):
            yield images
            if kept is not None and images.nbytes * len(self._batches) <= self._cache_bytes:
                kept.append(images)
            else:
                kept = None
        if kept is not None:
            self._cached = resolution, kept


class _Part(Dataset):
    """Data set with a subset of another data set's training images as its only split."""

    def __init__(self, images: Images, dataset: Dataset) -> None:
        self.class_names, self.fingerprint = dataset.class_names, dataset.fingerprint
        self.mean, self.std, self.augmentation = dataset.mean, dataset.std, dataset.augmentation
        self.resolutions = dataset.resolutions
        self._images = images

    def split(self, name: str) -> Images:
        """Return the images for any split name."""
        return self._images
