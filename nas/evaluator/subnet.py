"""Subnets with the supernet's weights, evaluated as they are."""

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
    """Cuts architectures out of the supernet, recalibrates their batch-norm statistics, and evaluates them.

    With a ``tuning`` each is trained on its own first, from the supernet's weights, which stay as they are.

    Architectures of one resolution share a pass over the images. A result depends on the architecture and the
    supernet's weights alone, not on what is evaluated beside or before it; only what objectives measure, such as the
    latency, differs from one time to the next.
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
            supernet: where the weights are.
            dataset: what networks are evaluated on.
            device: where they are.
            objectives: of the search; those that are measured on the network itself are metrics.
            batch_size: images at once.
            at_once: networks that are in memory together and see an image batch one after the other.
            amp: mixed precision, where there is a GPU.
            crop: share of the images' sides that networks see, in the centre, resized to their resolution.
            recalibration_images: training images that batch-norm statistics are computed from; all of them where
                there are fewer; 0 leaves the supernet's statistics.
            recalibration_batch_size: images at once then; more is closer to the statistics of all images.
            recalibration_augmented: whether these images are augmented as in training, always in the same way.
            cache_mib: most memory for the resized images of one split.
            tuning: how each network is trained before it is evaluated; ``None`` leaves the supernet's weights.
            seed: decides which training images, and their augmentation.

        Raises:
            UserError: if batch-norm statistics were to be computed from one image at a time.
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
        """Return the architectures of each resolution, ``at_once`` of them together."""
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
        """Return the supernet's weights."""
        weights: Mapping[str, Tensor] = self._supernet.module.state_dict()
        return weights

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Give the supernet other weights."""
        self._supernet.module.load_state_dict(dict(weights))
        self._supernet.module.to(self._device).eval()

    def __call__(self, architectures: Sequence[Architecture], split: str) -> Sequence[Mapping[str, float]]:
        """Return ``top1``, ``top5`` (percent), ``loss`` (nats), ``flops``, ``params`` (millions), and what is measured.

        With fewer than five classes ``top5`` counts all of them. Where outputs are not finite, the loss is not either.
        """
        found: dict[int, Mapping[str, float]] = {}
        for group in self.groups(architectures):
            metrics = self._together([architectures[index] for index in group], split)
            found |= dict(zip(group, metrics, strict=True))
        return [found[index] for index in range(len(architectures))]

    def logits(self, architecture: Architecture, split: str) -> Tensor:
        """Return what a network answers on a split, exactly as in an evaluation: logits, (n, classes), on the CPU."""
        (logits,) = self.all_logits([architecture], split)
        return logits

    @torch.no_grad()
    def all_logits(self, architectures: Sequence[Architecture], split: str) -> list[Tensor]:
        """Return the same for each of several architectures of one resolution, in one pass over the images."""
        networks = self._networks(architectures)
        answers = self._answers(networks, _resolution(architectures[0]), split)
        parts = [[logits.cpu() for logits in each] for each, _ in answers]
        return [torch.cat(each) for each in zip(*parts, strict=True)]

    @torch.no_grad()
    def _together(self, architectures: Sequence[Architecture], split: str) -> list[Mapping[str, float]]:
        """Evaluate architectures of one resolution in one pass."""
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
        """Return networks of one resolution, ready to be evaluated."""
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
        """Return what yields the batches of images, (b, 3, r, r), that statistics at resolution r are computed from."""
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
        """Yield the networks' logits, (b, classes) each, and the labels, (b,), batch by batch."""
        for images, labels in self._split(split).sequential(resolution, self._batch_size):
            with mixed(self._device, self._amp):
                answers = [network(images) for network in networks]
            yield [logits.float() for logits in answers], labels

    @torch.no_grad()
    def network(self, architecture: Architecture) -> nn.Module:
        """Return the network that is evaluated: cut out, on the device, with its own batch-norm statistics."""
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
