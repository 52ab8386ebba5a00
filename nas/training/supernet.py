"""Training of a supernet from scratch, before the search."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property, partial
from itertools import chain, count
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softmax

from nas.cache import check_cache, in_cache, locked
from nas.dataset.base import Dataset
from nas.dataset.batches import resize
from nas.dataset.training_batches import TrainingBatches
from nas.errors import RunError, UserError
from nas.files import link
from nas.seeding import rng_for
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import weights_digest
from nas.training import checkpoint
from nas.training.base import Training
from nas.training.descent import copied
from nas.training.trial import Trial, seconds_each, size_of
from nas.types import (
    Architecture,
    Genomes,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Probability,
    Progress,
)

ACTIVITY = "training the supernet"
_NO_SETTINGS = {"self", "supernet", "dataset", "device", "cache", "folder", "kept"}
NORM_AXES = 1  # biases and batch-norm's parameters have one axis


VERSION = 1
"""Version of the training, part of the weights' file name. Increase it when the same settings train other weights."""


@final
class SupernetTraining(Training):
    """Training with the sandwich rule and in-place knowledge distillation.

    See Yu & Huang 2019, Alg. 1, and BigNAS, Yu et al. 2020, section 3.1. Each step trains the largest architecture on
    the labels, and the smallest and some random ones on the soft labels of the largest one. All use the same augmented
    images, resized for each architecture. The trained weights are stored in ``cache``. A second training with the same
    settings, data and source loads them. The run folder gets a copy, and the run never uses other weights.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from nas.dataset.array_dataset import ArrayDataset
        >>> from nas.dataset.base import Augmentation
        >>> from nas.supernet.tiny import Tiny
        >>> from nas.training.supernet import SupernetTraining
        >>> sizes = dict(stem_width=8, stem_stride=2, stage_widths=(8,), strides=(1,), feature_width=16, widths=(1.0,))
        >>> choices = dict(depths=(1, 2), kernel_sizes=(3,), expand_ratios=(1, 2), resolutions=(8,), dropout=0.0)
        >>> supernet = Tiny(n_classes=10, squeeze_excite=(False,), hard_swish=(False,), seed=0, **sizes, **choices)
        >>> noise = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8)).astype(np.uint8)
        >>> images = {"pixels": noise, "labels": np.arange(40) % 10, "class_names": tuple("0123456789")}
        >>> settings = {"splits": {"train": np.arange(40)}, "mean": None, "std": None, "resolutions": (8,),
        ...             "augmentation": Augmentation(shift=0.1, flip=False, cutout=0.0)}
        >>> dataset = ArrayDataset(**images, **settings)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     places = {"device": "cpu", "cache": Path(folder), "folder": Path(folder) / "run", "kept": {}}
        ...     training = SupernetTraining(
        ...         supernet=supernet, dataset=dataset, **places, epochs=1, warmup_epochs=0, batch_size=20
        ...     )
        ...     training.prepare(lambda activity, done, total: print(activity, done, total))
        training the supernet 0 1
        training the supernet 1 1
    """

    def __init__(
        self,
        *,
        supernet: Supernet,
        dataset: Dataset,
        device: torch.device | str,
        cache: Path,
        folder: Path,
        kept: Mapping[Path, str],
        epochs: PositiveInt = 60,
        warmup_epochs: NonNegativeInt = 2,
        batch_size: PositiveInt = 64,
        lr: PositiveFloat = 0.01,
        weight_decay: NonNegativeFloat = 0.02,
        clip_norm: PositiveFloat = 5.0,
        label_smoothing: Probability = 0.1,
        random_subnets: NonNegativeInt = 2,
        checkpoint_every: PositiveInt = 5,
        seed: NonNegativeInt = 0,
    ) -> None:
        """Describe the training; nothing is trained yet.

        Args:
            supernet: Supernet to train.
            dataset: Data set; its training split is used.
            device: Torch device of the training, for example ``"cuda:0"``.
            cache: Folder of the cache; the weights are in its folder ``supernets/``.
            folder: Run folder; it gets the weights as ``weights/supernet.pt``.
            kept: Digests of the weight files that the run started with, by path. If the file of this training is not
                among them, the weights come from the cache or are trained.
            epochs: Passes over the training split.
            warmup_epochs: Epochs in which the learning rate rises linearly to ``lr``, fewer than ``epochs``. A cosine
                decay to 0 follows.
            batch_size: Number of images in a batch, 2 or more.
            lr: Highest learning rate of AdamW.
            weight_decay: Weight decay of all parameters except biases and batch norm.
            clip_norm: Largest norm of a step's gradient.
            label_smoothing: Label smoothing: share of the target that is spread over all classes, 0 to 1.
            random_subnets: Number of random architectures per step, besides the largest and the smallest one.
            checkpoint_every: Epochs between two checkpoints.
            seed: Seed of the images' order, augmentation, dropout and random architectures.

        Raises:
            UserError: If settings contradict each other, or if the weights are not in the cache and it cannot be
                written.
        """
        settings = {k: v for k, v in locals().items() if k not in _NO_SETTINGS}
        _check(epochs, warmup_epochs, batch_size)
        self._supernet = supernet
        self._batches = TrainingBatches(dataset=dataset, batch_size=batch_size, seed=seed, device=device)
        self._device = torch.device(device)
        self._epochs, self._warmup_epochs = epochs, warmup_epochs
        self._lr, self._weight_decay, self._clip_norm = lr, weight_decay, clip_norm
        self._label_smoothing, self._random_subnets = label_smoothing, random_subnets
        self._checkpoint_every, self._seed = checkpoint_every, seed
        settings |= {"torch": torch.__version__, "device": self._device.type, "threads": torch.get_num_threads()}
        self._path = cache / "supernets" / f"{_key(settings, supernet, dataset)}.pt"
        self._own_path = folder / "weights" / "supernet.pt"
        self._known = kept.get(self._own_path)
        self._prepared = self._in_folder = False  # whether the run folder has the run's weights
        if self._known is None and not self._path.exists():
            check_cache(cache)

    def prepare(self, progress: Progress) -> None:
        """Load the weights of the run or the cache, or train them; a killed training resumes from its checkpoint.

        The supernet must still have its initial weights. Only one process trains; others that need the same weights
        wait for it.

        Args:
            progress: Function that is called with an activity, the number of finished epochs and the total number.

        Raises:
            UserError: If the weights that the run started with are lost.
        """
        if self._prepared:
            return
        weights = self._cached(progress) if self._known is None else self._found()
        self._known = weights_digest(weights)
        self._supernet.module.load_state_dict(weights)
        self._supernet.module.to(self._device).eval()
        self._prepared = True

    def keep(self) -> Mapping[Path, str]:
        """Put the weights into the run folder unless it has them."""
        if not self._in_folder:
            link(self._path, self._own_path)
            self._in_folder = True
        return {self._own_path: str(self._known)}

    def _found(self) -> dict[str, Any]:
        """Return the weights that the run started with, from the run folder or the cache."""
        for path in (self._own_path, self._path):
            weights = checkpoint.load(path)
            if weights is not None and weights_digest(weights) == self._known:
                self._in_folder = path == self._own_path
                return weights
        raise UserError(
            f"the weights that the run was searched with are gone: '{self._own_path}' is absent or changed, and the "
            f"cache has no others with their digest ({str(self._known)[:8]}); restore the file, or search anew in "
            f"another folder (paths.run=FOLDER)"
        )

    def _cached(self, progress: Progress) -> dict[str, Any]:
        """Return the weights from the cache; train them first if it does not have them."""
        weights = checkpoint.load(self._path)
        if weights is None:
            waiting = partial(progress, "waiting for another process that trains this supernet", 0, 1)
            with locked(self._path.with_suffix(".lock"), waiting), in_cache():
                weights = checkpoint.load(self._path) or self._trained(progress)
                self._partial_path.unlink(missing_ok=True)
        return weights

    @cached_property
    def weights(self) -> str | None:
        """Digest of the trained weights."""
        return weights_digest(self._supernet.module.state_dict())

    def trial(self, genomes: Genomes) -> Trial:
        """Estimate the cost from the first gradient steps; it is 0 if the run or the cache has the weights."""
        if self._known is not None or self._path.exists():
            return Trial()
        before = copied(dict(self._supernet.module.state_dict()))
        self._supernet.module.to(self._device).train()
        space, optimizer, rng = self._supernet.space, self._optimizer(), rng_for(self._seed, 0, "architectures")
        batches = chain.from_iterable(map(self._batches.epoch, count()))

        def step() -> None:
            students = [space.smallest, *space.sample(self._random_subnets, rng)]
            self._step(*next(batches), [space.decode(genome) for genome in students], optimizer)

        with torch.random.fork_rng([self._device] if self._device.type == "cuda" else []):
            seconds = seconds_each(step, self._device) * len(self._batches) * self._epochs
        optimizer.zero_grad()
        self._supernet.module.load_state_dict(before)
        self._supernet.module.eval()
        return Trial(first={self._path.name: seconds}, first_bytes={self._path.name: size_of(before)})

    @property
    def _partial_path(self) -> Path:
        return self._path.with_suffix(".partial.pt")

    def _trained(self, progress: Progress) -> dict[str, Any]:
        """Train, write the weights to the cache and return them by name."""
        weights = self._train(progress)
        if not all(bool(torch.isfinite(tensor).all()) for tensor in weights.values()):
            raise RunError(
                f"the supernet's weights are not finite after training; lower lr from {self._lr} (training.lr, or "
                f"training.initial.lr where weights adapt)"
            )
        checkpoint.save(self._path, weights)
        return weights

    def _train(self, progress: Progress) -> dict[str, Any]:
        """Train and return the weights by name."""
        module = self._supernet.module.to(self._device).train()
        optimizer = self._optimizer()
        done = 0
        begun = checkpoint.load(self._partial_path)
        if begun is not None:
            done = begun["epochs"]
            module.load_state_dict(begun["weights"])
            optimizer.load_state_dict(begun["optimizer"])
        progress(ACTIVITY, done, self._epochs)
        for epoch in range(done, self._epochs):
            self._train_epoch(epoch, optimizer)
            if (epoch + 1) % self._checkpoint_every == 0 and epoch + 1 < self._epochs:
                state = {"epochs": epoch + 1, "weights": dict(module.state_dict()), "optimizer": optimizer.state_dict()}
                checkpoint.save(self._partial_path, state)
            progress(ACTIVITY, epoch + 1, self._epochs)
        return dict(module.state_dict())

    def _optimizer(self) -> torch.optim.Optimizer:
        parameters = list(self._supernet.module.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim > NORM_AXES], "weight_decay": self._weight_decay},
            {"params": [p for p in parameters if p.ndim <= NORM_AXES], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self._lr, fused=True)

    def _train_epoch(self, epoch: int, optimizer: torch.optim.Optimizer) -> None:
        """Train for one epoch; its random numbers depend only on the seed and the epoch's number."""
        space = self._supernet.space
        rng = rng_for(self._seed, epoch, "architectures")
        n_steps = len(self._batches)
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(int(rng_for(self._seed, epoch, "dropout").integers(2**63)))
            for step, (images, labels) in enumerate(self._batches.epoch(epoch)):
                for group in optimizer.param_groups:
                    group["lr"] = self._lr * self._rate(epoch * n_steps + step, n_steps)
                genomes = [space.smallest, *space.sample(self._random_subnets, rng)]
                self._step(images, labels, [space.decode(genome) for genome in genomes], optimizer)

    def _step(
        self, images: Tensor, labels: Tensor, students: list[Architecture], optimizer: torch.optim.Optimizer
    ) -> None:
        """Take one step on the sum of all architectures' losses."""
        optimizer.zero_grad()
        logits = self._logits(images, self._supernet.space.decode(self._supernet.space.largest))
        loss = cross_entropy(logits, labels, label_smoothing=self._label_smoothing)
        torch.autograd.backward(loss)
        soft_labels = softmax(logits.detach(), dim=1)
        for student in students:
            torch.autograd.backward(cross_entropy(self._logits(images, student), soft_labels))
        torch.nn.utils.clip_grad_norm_(self._supernet.module.parameters(), self._clip_norm)
        optimizer.step()

    def _logits(self, images: Tensor, architecture: Architecture) -> Tensor:
        return self._supernet.forward(resize(images, architecture.config["r"]), architecture)

    def _rate(self, step: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step as a share of the highest one: a linear rise, then a cosine decay to 0."""
        warmup = self._warmup_epochs * steps_per_epoch
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 + 0.5 * math.cos(math.pi * (step - warmup) / (self._epochs * steps_per_epoch - warmup))


def _check(epochs: int, warmup_epochs: int, batch_size: int) -> None:
    """Raise UserError if settings contradict each other."""
    if warmup_epochs >= epochs:
        raise UserError(f"warmup_epochs is {warmup_epochs}; it must be less than epochs, {epochs}")
    if batch_size < 2:
        raise UserError("batch_size is 1; batch-norm needs 2 or more")


def _key(settings: dict[str, Any], supernet: Supernet, dataset: Dataset) -> str:
    """Return a short hash of everything that determines the trained weights."""
    augmentation = asdict(replace(dataset.augmentation, workers=0))  # the number of workers has no effect
    decisive = [settings, supernet.fingerprint, dataset.fingerprint, dataset.mean, dataset.std, augmentation, VERSION]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:32]
