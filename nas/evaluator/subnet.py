"""Subnets with the supernet's weights, evaluated as they are."""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from nas.dataset.base import Dataset, Images
from nas.dataset.batches import Batches
from nas.errors import UserError
from nas.evaluator.base import Evaluator
from nas.evaluator.recalibration import recalibrate
from nas.objective.base import Objective
from nas.objective.measurement import Measurement
from nas.seeding import rng_for
from nas.supernet.base import Supernet
from nas.types import Architecture, NonNegativeInt, PositiveInt

MILLION = 1e6
TOP_K = 5


@final
class SubnetEvaluator(Evaluator):
    """Cuts the architecture out of the supernet, recalibrates its batch-norm statistics, and evaluates it.

    A result depends on the architecture and the supernet's weights alone, not on earlier evaluations; only what
    objectives measure, such as the latency, differs from one time to the next.
    """

    def __init__(
        self,
        *,
        supernet: Supernet,
        dataset: Dataset,
        device: torch.device | str,
        objectives: Sequence[Objective],
        batch_size: PositiveInt,
        recalibration_images: NonNegativeInt,
        recalibration_batch_size: PositiveInt,
        cache_mib: NonNegativeInt,
        seed: NonNegativeInt,
    ) -> None:
        """Prepare the splits; images are resized when an evaluation first needs them.

        Args:
            supernet: where the weights are.
            dataset: what networks are evaluated on.
            device: where they are.
            objectives: of the search; those that are measured on the network itself are metrics.
            batch_size: images at once.
            recalibration_images: training images that batch-norm statistics are computed from, un-augmented; all
                of them where there are fewer; 0 leaves the supernet's statistics.
            recalibration_batch_size: images at once then; more is closer to the statistics of all images.
            cache_mib: most memory for the resized images of one split.
            seed: decides which training images.

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
        self._recalibration_batch_size = recalibration_batch_size
        self._cache_bytes = cache_mib * 2**20
        self._costs = supernet.costs()
        self._splits: dict[str, Batches] = {}
        self._recalibration: Batches | None = None
        if recalibration_images:
            train = dataset.split("train")
            chosen = rng_for(seed, 0, "recalibration").permutation(len(train))[:recalibration_images]
            chosen.sort()
            self._recalibration = self._batches(Images(train.pixels[chosen], train.labels[chosen]))

    @torch.no_grad()
    def __call__(self, architecture: Architecture, split: str) -> Mapping[str, float]:
        """Return ``top1``, ``top5`` (percent), ``loss`` (nats), ``flops``, ``params`` (millions), and what is measured.

        With fewer than five classes ``top5`` counts all of them.

        Raises:
            FloatingPointError: if the network's outputs are not finite.
        """
        resolution = architecture.config["r"]
        network = self.network(architecture)
        hits = torch.zeros(2, dtype=torch.int64, device=self._device)
        loss = torch.zeros((), dtype=torch.float64, device=self._device)
        data = self._split(split)
        for images, labels in data.sequential(resolution, self._batch_size):
            logits = network(images).float()
            ranked = logits.topk(min(TOP_K, logits.shape[1]), dim=1).indices == labels[:, None]
            hits += torch.stack([ranked[:, 0].sum(), ranked.sum()])
            loss += cross_entropy(logits, labels, reduction="sum")
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the network's loss on the {split} split is {loss.item()}")
        genome = np.array([architecture.genome])
        top1, top5 = (100 * hits.double() / len(data)).tolist()
        return {
            "top1": top1,
            "top5": top5,
            "loss": loss.item() / len(data),
            "flops": int(self._costs["macs"](genome)[0]) / MILLION,
            "params": int(self._costs["params"](genome)[0]) / MILLION,
            **{each.measure.name: each.of(network, resolution) for each in self._measurements},
        }

    @torch.no_grad()
    def network(self, architecture: Architecture) -> nn.Module:
        """Return the network that is evaluated: cut out, on the device, with its own batch-norm statistics."""
        network = self._supernet.extract(architecture).to(self._device)
        if self._recalibration is not None:
            batches = self._recalibration.sequential(architecture.config["r"], self._recalibration_batch_size)
            recalibrate(network, (images for images, _ in batches))
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
            cache_bytes=self._cache_bytes,
        )
