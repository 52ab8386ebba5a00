"""Batch-norm statistics of subnets, which the supernet's do not fit (Yu & Huang 2019, section 3.3)."""

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


def training_sample(dataset: Dataset, n: PositiveInt, seed: NonNegativeInt) -> Images:
    """Return n training images that the seed chooses, in the split's order; all of them where there are fewer."""
    train = dataset.split("train")
    chosen = rng_for(seed, 0, "recalibration").permutation(len(train))[:n]
    chosen.sort()
    return Images(train.pixels[chosen], train.labels[chosen])


@final
class Augmented:
    """Training images as a training sees them, the same ones each time."""

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
            images: some of the training split's.
            dataset: what they are normalised and augmented with.
            batch_size: images a batch; the last incomplete one is left out.
            seed: of the augmentation.
            device: where batches lie.
            cache_bytes: most memory there for the images of the last resolution; larger ones are made anew.
        """
        self._batches = TrainingBatches(dataset=_Part(images, dataset), batch_size=batch_size, seed=seed, device=device)
        self._cache_bytes = cache_bytes
        self._cached: tuple[int, list[Tensor]] = (0, [])

    def at(self, resolution: PositiveInt) -> Iterator[Tensor]:
        """Yield normalised images, (b, 3, resolution, resolution)."""
        if self._cached[0] == resolution:
            yield from self._cached[1]
            return
        self._cached = (0, [])  # its memory is needed
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
    """Some of a data set's training images."""

    def __init__(self, images: Images, dataset: Dataset) -> None:
        self.class_names, self.fingerprint = dataset.class_names, dataset.fingerprint
        self.mean, self.std, self.augmentation = dataset.mean, dataset.std, dataset.augmentation
        self.resolutions = dataset.resolutions
        self._images = images

    def split(self, name: str) -> Images:
        """Return the images, whatever the name."""
        return self._images
