"""Evaluator of subnets with the supernet's weights."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from nas.dataset.base import Dataset, Images
from nas.dataset.batches import Batches
from nas.errors import UserError
from nas.evaluator.accuracy import MetricSums
from nas.evaluator.base import Evaluator
from nas.evaluator.recalibration import Augmented, recalibrate, training_sample
from nas.evaluator.tuning import Tuning
from nas.objective.base import Measurement, Objective
from nas.supernet.base import Supernet
from nas.supernet.precision import mixed
from nas.types import MILLION, Architecture, NonNegativeInt, PositiveInt, Probability


@final
class SubnetEvaluator(Evaluator):
    """Evaluator that extracts subnets from the supernet, recalibrates batch norm and measures them.

    With ``tuning``, each subnet is first trained on its own, starting from the supernet's weights. The supernet's
    weights stay unchanged.

    Architectures of the same resolution share a pass over the images. A result depends only on the architecture and the
    supernet's weights, not on other architectures in the call or on earlier calls. The exception are objectives that
    are measured, such as latency: they vary between measurements.

    Example:
        >>> from nas.dataset.none import NoImages
        >>> from nas.evaluator.subnet import SubnetEvaluator
        >>> from nas.supernet.tiny import Tiny
        >>> sizes = dict(stem_width=8, stem_stride=1, stage_widths=(8,), strides=(1,), feature_width=16, widths=(1.0,))
        >>> choices = dict(depths=(1, 2), kernel_sizes=(3,), expand_ratios=(1, 2), resolutions=(6, 8), dropout=0.0)
        >>> supernet = Tiny(n_classes=10, squeeze_excite=(False,), hard_swish=(False,), seed=0, **sizes, **choices)
        >>> evaluator = SubnetEvaluator(
        ...     supernet=supernet, dataset=NoImages(classes=10), device="cpu", objectives=[], recalibration_images=0
        ... )
        >>> small, large = map(supernet.space.decode, (supernet.space.smallest, supernet.space.largest))
        >>> evaluator.groups([small, large, small])
        [[0, 2], [1]]
    """

    runs_networks = True

    def __init__(
        self,
        *,
        supernet: Supernet,
        dataset: Dataset,
        device: torch.device | str,
        objectives: Sequence[Objective],
        batch_size: PositiveInt = 150,
        at_once: PositiveInt = 8,
        amp: bool = True,
        crop: Probability = 1.0,
        recalibration_images: NonNegativeInt = 256,
        recalibration_batch_size: PositiveInt = 256,
        recalibration_augmented: bool = False,
        cache_mib: NonNegativeInt = 2048,
        tuning: Tuning | None = None,
        seed: NonNegativeInt = 0,
    ) -> None:
        """Prepare the splits; images are resized when an evaluation first needs them.

        Args:
            supernet: Supernet that provides the weights.
            dataset: Data set to evaluate on.
            device: Torch device of the networks, for example ``"cuda:0"``.
            objectives: Objectives of the search; those measured on the network itself are added to the metrics.
            batch_size: Number of images per batch.
            at_once: Maximum number of networks in memory together. They process each image batch one after the other.
            amp: Whether to use mixed precision on a GPU.
            crop: Fraction of the image side that the center crop keeps, 0 to 1; the crop is resized to the resolution.
                NAT and ENCAS use 0.875.
            recalibration_images: Number of training images for batch norm recalibration; 0 keeps the supernet's
                statistics. All training images are used if there are fewer.
            recalibration_batch_size: Number of images per batch during recalibration. Larger batches give statistics
                closer to those of all images.
            recalibration_augmented: Whether to augment the recalibration images as in training, which NAT and ENCAS do.
                The augmentation is the same in each pass.
            cache_mib: Maximum memory for the resized images of one split, in MiB.
            tuning: Training of each network before its evaluation; ``None`` keeps the supernet's weights.
            seed: Random seed of the choice of recalibration images and of their augmentation. It is independent of the
                run's seed, so that all runs measure alike.

        Raises:
            UserError: If batch norm statistics would be computed from single images.
        """
        if recalibration_images == 1 or (recalibration_images and recalibration_batch_size == 1):
            raise UserError("recalibration_images and recalibration_batch_size must be 2 or more (or no images: 0)")
        self._supernet = supernet
        self._dataset = dataset
        self._device = torch.device(device)
        self._measurements = [objective for objective in objectives if isinstance(objective, Measurement)]
        self._batch_size = batch_size
        self._at_once = at_once
        self._amp = amp
        self._crop = crop
        self._recalibration_batch_size = recalibration_batch_size
        self._cache_bytes = cache_mib * 2**20
        self._tuning = tuning
        self._costs = supernet.costs()
        self._splits: dict[str, Batches] = {}
        self._recalibration = self._recalibration_of(recalibration_images, recalibration_augmented, seed)

    def groups(self, architectures: Sequence[Architecture]) -> list[list[int]]:
        """Return groups of at most ``at_once`` architectures that have the same resolution."""
        order = sorted(range(len(architectures)), key=lambda index: _resolution(architectures[index]))
        groups: list[list[int]] = []
        for index in order:
            last = groups[-1] if groups else []
            same = last and _resolution(architectures[last[0]]) == _resolution(architectures[index])
            if same and len(last) < self._at_once:
                last.append(index)
            else:
                groups.append([index])
        return groups

    def weights(self) -> Mapping[str, Tensor]:
        """Return the supernet's weights by name."""
        weights: Mapping[str, Tensor] = self._supernet.module.state_dict()
        return weights

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Load other weights into the supernet."""
        self._supernet.module.load_state_dict(dict(weights))
        self._supernet.module.to(self._device).eval()

    def __call__(self, architectures: Sequence[Architecture], split: str) -> Sequence[Mapping[str, float]]:
        """Return ``top1``, ``top5`` (percent), ``loss`` (nats), ``flops``, ``params`` (millions), measured objectives.

        With fewer than five classes, ``top5`` counts all images. If logits are not finite, neither is the loss.
        """
        found: dict[int, Mapping[str, float]] = {}
        for group in self.groups(architectures):
            metrics = self._together([architectures[index] for index in group], split)
            found |= dict(zip(group, metrics, strict=True))
        return [found[index] for index in range(len(architectures))]

    def logits(self, architecture: Architecture, split: str) -> Tensor:
        """Return the logits of a network on a split, exactly as in an evaluation, shape (n, classes), on the CPU."""
        (logits,) = self.all_logits([architecture], split)
        return logits

    @torch.no_grad()
    def all_logits(self, architectures: Sequence[Architecture], split: str) -> list[Tensor]:
        """Return the logits of each of several networks on a split, in one pass over the images.

        Args:
            architectures: Architectures of one resolution.
            split: Split to evaluate on.

        Returns:
            Logits of each network, shape (n, classes), on the CPU.
        """
        networks = self._networks(architectures)
        answers = self._answers(networks, _resolution(architectures[0]), split)
        parts = [[logits.cpu() for logits in each] for each, _ in answers]
        return [torch.cat(each) for each in zip(*parts, strict=True)]

    @torch.no_grad()
    def _together(self, architectures: Sequence[Architecture], split: str) -> list[Mapping[str, float]]:
        """Evaluate architectures of one resolution in one pass over the images."""
        resolution = _resolution(architectures[0])
        networks = self._networks(architectures)
        sums = [MetricSums(self._device) for _ in networks]
        for answers, labels in self._answers(networks, resolution, split):
            for each, logits in zip(sums, answers, strict=True):
                each.add(logits, labels)
        found = [each.metrics() for each in sums]
        genomes = np.array([architecture.genome for architecture in architectures])
        costs = {"flops": self._costs["macs"](genomes), "params": self._costs["params"](genomes)}
        return [
            {
                "top1": found[i].top1,
                "top5": found[i].top5,
                "loss": found[i].loss,
                **{name: int(values[i]) / MILLION for name, values in costs.items()},
                **{each.measure.name: each.of(network, resolution) for each in self._measurements},
            }
            for i, network in enumerate(networks)
        ]

    def _networks(self, architectures: Sequence[Architecture]) -> list[nn.Module]:
        """Return networks of one resolution, tuned and recalibrated as the settings say."""
        networks = [self._supernet.extract(architecture).to(self._device) for architecture in architectures]
        if self._device.type == "cuda":
            networks = [network.to(memory_format=torch.channels_last) for network in networks]
        resolution = _resolution(architectures[0])
        if self._tuning is not None:
            for network in networks:
                self._tuning.tune(network, self._dataset, resolution, device=self._device, amp=self._amp)
        if self._recalibration is not None:
            with mixed(self._device, self._amp):
                recalibrate(networks, self._recalibration(resolution))
        return networks

    def _recalibration_of(self, n: int, augmented: bool, seed: int) -> Callable[[int], Iterable[Tensor]] | None:
        """Return the function that yields recalibration batches, (b, 3, r, r), for a resolution r."""
        if n == 0:
            return None
        images = training_sample(self._dataset, n, seed)
        if not augmented:
            return partial(_images, self._batches(images), self._recalibration_batch_size)
        return Augmented(
            images=images,
            dataset=self._dataset,
            batch_size=self._recalibration_batch_size,
            seed=seed,
            device=self._device,
            cache_bytes=self._cache_bytes,
        ).at

    def _answers(
        self, networks: Sequence[nn.Module], resolution: int, split: str
    ) -> Iterator[tuple[list[Tensor], Tensor]]:
        """Yield the logits of each network, (b, classes), and the labels, (b,), of each batch."""
        for images, labels in self._split(split).sequential(resolution, self._batch_size):
            with mixed(self._device, self._amp):
                answers = [network(images) for network in networks]
            yield [logits.float() for logits in answers], labels

    @torch.no_grad()
    def network(self, architecture: Architecture) -> nn.Module:
        """Return the network that is evaluated: extracted, on the device, with recalibrated batch norm statistics."""
        (network,) = self._networks([architecture])
        return network

    def _split(self, name: str) -> Batches:
        if name not in self._splits:
            self._splits[name] = self._batches(self._dataset.split(name))
        return self._splits[name]

    def _batches(self, images: Images) -> Batches:
        return Batches(
            images=images,
            mean=self._dataset.mean,
            std=self._dataset.std,
            device=self._device,
            crop=self._crop,
            cache_bytes=self._cache_bytes,
        )


def _images(batches: Batches, batch_size: int, resolution: int) -> Iterable[Tensor]:
    return (images for images, _ in batches.sequential(resolution, batch_size))


def _resolution(architecture: Architecture) -> int:
    side: int = architecture.config["r"]
    return side
