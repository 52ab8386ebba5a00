"""Networks from files: a ``net.config``, or an architecture of a supernet, and weights."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, final

import torch
from torch import nn

from nas.dataset.base import Dataset
from nas.dataset.batches import Batches
from nas.errors import UserError
from nas.evaluator.recalibration import recalibrate, training_sample
from nas.files import expanded, read_json
from nas.model.base import ARCHITECTURE, NET_CONFIG, Model, ModelSource, preparation
from nas.model.build import fill, read_weights
from nas.model.given import IMAGENET_MEAN, IMAGENET_STD, Given, data_of
from nas.model.layers import network_from_config
from nas.model.net_config import resolution_of
from nas.pool.timm_models import counted
from nas.space.base import SearchSpace
from nas.supernet.checkpoint import PUBLISHED_CLASSES, RANDOM, weights_digest
from nas.types import Genomes, Progress


@final
class ConfigSource(ModelSource):
    """A network that a ``net.config`` describes layer by layer."""

    def __init__(
        self, path: Path, config: Mapping[str, Any], *, weights: str | None, resolution: int | None, given: Given
    ) -> None:
        """Build the network and read its weights.

        Args:
            path: Path of the file.
            config: Its content.
            weights: Path of its weights' file, or ``"random"``.
            resolution: Side of the square input in pixels; ``None`` for the one that the file says.
            given: The data set it is for, if any, and where it will be.

        Raises:
            UserError: If the file is damaged, the weights are another network's, or the classes another data set's.
        """
        if weights is None:
            raise UserError(f"which weights '{path}' has is unknown: add weights=FILE, or weights={RANDOM}")
        self.name = path.stem if path.name != "net.config" else path.resolve().parent.name
        self._path, self._config, self._weights, self._given = path, config, weights, given
        self._resolution = resolution or resolution_of(config) or _beside(path)
        if self._resolution is None:
            raise UserError(f"'{path}' does not say the resolution: add r=224, or what it is")
        self._network = network_from_config(config, path)
        check_runs(self._network, self._resolution, path)
        if weights != RANDOM:
            fill(self._network, read_weights(_file(weights)), _file(weights))
        self.n_classes = int(config["classifier"]["out_features"])
        _check_classes(self.n_classes, given.dataset, str(path))
        if weights == RANDOM and given.dataset is not None:
            self.class_names = given.dataset.class_names  # random weights have no classes of their own

    def dataset(self) -> Dataset | None:
        """Return the data set that is named."""
        return self._given.dataset

    def load(self, progress: Progress) -> Model:
        """Return the network."""
        source = {"net_config": str(self._path.resolve()), "weights": self._weights}
        known = {"kind": NET_CONFIG, "net_config": dict(self._config), "source": source}
        sizes = {"n_classes": self.n_classes, "resolution": self._resolution or 0}
        return file_model(self._network, known, name=self.name, given=self._given, **sizes)


@final
class SubnetSource(ModelSource):
    """An architecture of the supernet that the command line names."""

    def __init__(
        self, path: Path, config: Mapping[str, Any], *, weights: str | None, resolution: int | None, given: Given
    ) -> None:
        """Build the network with its own weights or the supernet's.

        Args:
            path: Path of the file.
            config: The architecture.
            weights: Path of its own weights; ``"random"``; ``None`` for its part of the supernet's checkpoint.
            resolution: Side of the square input in pixels, where ``config`` does not say it.
            given: The supernet, the data set, and where it will be.

        Raises:
            UserError: If no supernet is named, or architecture or weights do not fit.
        """
        self.name = path.stem
        self._path, self._weights, self._given = path, weights, given
        self.n_classes = PUBLISHED_CLASSES if given.dataset is None else given.dataset.n_classes
        if weights == RANDOM and given.dataset is not None:
            self.class_names = given.dataset.class_names
        given.check_resolution(resolution or config.get("r"))
        self._supernet = given.supernet(self.n_classes, None if weights is None else RANDOM)
        if weights is None and not self._supernet.trained:
            raise UserError(f"which weights '{path}' has is unknown: add weights=FILE, or weights={RANDOM}")
        space = self._supernet.space
        genome = encoded(space, dict(config) | ({} if resolution is None else {"r": resolution}), path)
        self._architecture = space.decode(genome)
        self._network = self._supernet.extract(self._architecture)
        if weights not in (None, RANDOM):
            fill(self._network, read_weights(_file(str(weights))), _file(str(weights)))

    def dataset(self) -> Dataset | None:
        """Return the data set that is named."""
        return self._given.dataset

    def load(self, progress: Progress) -> Model:
        """Return the network; a subnet's batch norm is recalibrated if there is a data set."""
        settings = self._given.settings
        network = self._network.to(self._given.device)
        side = self._architecture.config["r"]
        inherited = self._weights is None and self._given.dataset is not None
        if inherited and self._given.dataset is not None:
            own_statistics(network, self._given.dataset, settings.get("evaluator") or {}, side, self._given.device)
        known = {
            "kind": ARCHITECTURE,
            "supernet": settings["supernet"],
            "architecture": dict(self._architecture.config),
            "genome": list(self._architecture.genome),
            "recalibrated": inherited,
            "source": {"architecture": str(self._path.resolve()), "weights": self._weights},
        }
        sizes = {"n_classes": self.n_classes, "resolution": side}
        return file_model(network, known, name=self.name, given=self._given, **sizes)


def encoded(space: SearchSpace, config: Mapping[str, Any], source: Path | None) -> Genomes:
    """Return the genome, (d,), of an architecture.

    Args:
        space: The search space.
        config: The architecture.
        source: The file that it is from, for messages; ``None`` where it was typed.

    Raises:
        UserError: If it is none of this space.
    """
    try:
        return space.encode(config)
    except UserError as error:
        raise UserError(f"'{source}': {error}" if source is not None else str(error)) from error


def check_runs(network: nn.Module, resolution: int, source: Path) -> None:
    """Raise UserError unless a network takes images with this side, in pixels; only shapes are computed."""
    shapes = deepcopy(network).to("meta").eval()
    try:
        with torch.no_grad():
            shapes(torch.empty(1, 3, resolution, resolution, device="meta"))
    except (RuntimeError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"'{source}': no image of {resolution} x {resolution} goes through the network: {reason}"
        ) from error


def file_model(
    network: nn.Module, known: Mapping[str, Any], *, name: str, n_classes: int, resolution: int, given: Given
) -> Model:
    """Return a network from files as a model; images are normalized as in the data set, or as in ImageNet."""
    dataset = given.dataset
    network = network.to(given.device).eval()
    described = {
        "name": name,
        "n_classes": n_classes,
        "class_names": None if dataset is None else list(dataset.class_names),
        "resolution": resolution,
        "mean": list(IMAGENET_MEAN if dataset is None else dataset.mean),
        "std": list(IMAGENET_STD if dataset is None else dataset.std),
        "crop": given.crop,
        "weights": weights_digest(network.state_dict()),
        "costs": counted(network, resolution),
        "objectives": {},
        "units": {},
        "metrics": {},
        "dataset": None if dataset is None else given.settings["dataset"],
        "data": None if dataset is None else data_of(dataset),
        "evaluator": given.settings.get("evaluator"),
        **known,
    }
    return Model(name, network, preparation(network, described).to(given.device).eval(), described)


def own_statistics(
    network: nn.Module, dataset: Dataset, evaluator: Mapping[str, Any], resolution: int, device: str
) -> None:
    """Recalibrate a network's batch norm on training images, as evaluations without augmentation do.

    Args:
        network: On the device; changed in place.
        dataset: Whose training images are used.
        evaluator: Settings of ``evaluator=subnet``; where they are absent, 256 images of one batch.
        resolution: Side of its input, in pixels.
        device: Torch device of the network.
    """
    n, size = int(evaluator.get("recalibration_images", 256)), int(evaluator.get("recalibration_batch_size", 256))
    if n == 0:
        return
    batches = Batches(
        images=training_sample(dataset, n, int(evaluator.get("seed", 0))),
        mean=dataset.mean,
        std=dataset.std,
        device=device,
        crop=float(evaluator.get("crop", 1.0)),
        cache_bytes=0,
    )
    with torch.no_grad():
        recalibrate([network], (images for images, _ in batches.sequential(resolution, size)))


def _beside(path: Path) -> int | None:
    """Return the resolution from a file beside a ``net.config``: ``net.subnet``, or OFA's ``run.config``."""
    for name, key in (("net.subnet", "r"), ("run.config", "image_size")):
        try:
            content = read_json(path.with_name(name))
        except (OSError, ValueError):
            continue
        side = content.get(key) if isinstance(content, dict) else None
        if isinstance(side, int) and side > 0:
            return side
    return None


def _file(weights: str) -> Path:
    path = expanded(weights, "weights")
    if not path.is_file():
        raise UserError(f"weights={weights} is no file that exists; give a file, or {RANDOM}")
    return path


def _check_classes(n_classes: int, dataset: Dataset | None, name: str) -> None:
    if dataset is not None and dataset.n_classes != n_classes:
        raise UserError(f"'{name}' has {n_classes:,} classes, the data set has {dataset.n_classes:,}")
