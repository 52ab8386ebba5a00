"""Shuffled and augmented batches of training images, epoch by epoch."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from nas.dataset.augment import augment, cut_mix
from nas.dataset.base import Dataset, Images
from nas.dataset.batches import Normalise, resize
from nas.dataset.file_rows import FileRows
from nas.dataset.per_image import PerImage, policy_of, seeded
from nas.errors import RunError, UserError
from nas.seeding import rng_for
from nas.team import ALONE, Team
from nas.types import NonNegativeInt, PositiveInt

RESIDENT_SHARE = 0.1
"""Largest share of a GPU's memory that the pixels of a split may take."""

Order = list[tuple[Tensor, int]]
"""The rows of each batch's images, shape (b,), and its resolution in pixels."""


@final
class TrainingBatches:
    """Batches of a data set's training split, augmented as its ``augmentation`` says.

    An epoch depends only on the seed and its number. It is the same after an interruption, in any process, and with
    any number of ``augmentation.workers``. Images in memory are augmented on the device, a batch at a time. A torch
    ``DataLoader`` reads image files and augments single images.

    Example:
        >>> from nas.dataset.array_dataset import ArrayDataset
        >>> from nas.dataset.base import Augmentation
        >>> from nas.dataset.training_batches import TrainingBatches
        >>> noise = np.random.default_rng(0).integers(0, 256, (100, 3, 8, 8)).astype(np.uint8)
        >>> images = {"pixels": noise, "labels": np.arange(100) % 2, "class_names": ("cat", "dog")}
        >>> settings = {"splits": {"train": np.arange(100)}, "mean": None, "std": None, "resolutions": (8,),
        ...             "augmentation": Augmentation(shift=0.1, flip=True, cutout=0.0)}
        >>> batches = TrainingBatches(dataset=ArrayDataset(**images, **settings), batch_size=16, seed=0, device="cpu")
        >>> [len(labels) for _, labels in batches.epoch(0)]
        [16, 16, 16, 16, 16, 16]
    """

    def __init__(
        self,
        *,
        dataset: Dataset,
        batch_size: PositiveInt,
        seed: NonNegativeInt,
        device: torch.device | str,
        team: Team = ALONE,
    ) -> None:
        """Describe the batches; no image is read yet.

        Args:
            dataset: Data set; its training split, normalization and augmentation are used.
            batch_size: Number of images in a batch, of all processes together.
            seed: Seed of the images' order and augmentation.
            device: Torch device of the batches, for example ``"cuda:0"``.
            team: Team of this process; each member gets its part of every batch.

        Raises:
            UserError: If the augmentation's policy is unknown.
        """
        self._dataset = dataset
        self._augmentation = dataset.augmentation
        self._batch_size = batch_size
        self._seed = seed
        self._device = torch.device(device)
        self._team = team
        if self._augmentation.policy is not None:
            policy_of(self._augmentation.policy, 1, [0, 0, 0])

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return max(1, len(self._images) // self._batch_size)

    def epoch(
        self, number: NonNegativeInt, sides: Sequence[PositiveInt] | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield normalized images, (b, 3, side, side), and their targets.

        Targets are labels, (b,), int64. With mixup or CutMix they are probabilities, (b, n_classes). The last
        incomplete batch is dropped. A split that is smaller than the batch size is one batch.

        Args:
            number: Number of the epoch; it determines the random numbers.
            sides: Side of the images of each batch, in pixels. The epoch ends after the last one. ``None`` for the
                images' own side.

        Raises:
            UserError: If batches would have fewer than two images, which batch norm training needs.
            RunError: If a file cannot be read.
        """
        n = len(self._images)
        size = min(self._batch_size, n)
        if size < 2:
            raise UserError(f"training needs batches of 2 images or more: batch_size {self._batch_size}, images {n}")
        generator = torch.Generator().manual_seed(int(rng_for(self._seed, number, "batches").integers(2**63)))
        shuffled = torch.randperm(n, generator=generator)[: len(self) * size].reshape(-1, size)
        own = self._images.pixels.shape[-1]
        order = list(zip(shuffled, [own] * len(self) if sides is None else sides, strict=False))
        labels = torch.from_numpy(np.array(self._images.labels)).to(self._device)
        normalise = Normalise(mean=self._dataset.mean, std=self._dataset.std, device=self._device)
        on_device = shuffled.to(self._device)  # one copy per epoch, because each one waits for the GPU
        for step, (pixels, (_, side)) in enumerate(zip(self._pixels(number, order), order, strict=True)):
            images = augment(normalise(pixels), self._augmentation, normalise.black, generator)
            targets = labels[on_device[step]]
            images, targets = self._mixed(images, targets, number, step)
            part = self._team.part(size)
            images, targets = images[part], targets[part]
            yield images if sides is None else resize(images, side), targets

    @property
    def n_images(self) -> int:
        """Number of images in the training split."""
        return len(self._images)

    @cached_property
    def _images(self) -> Images:
        return self._dataset.split("train")

    @cached_property
    def _resident(self) -> Tensor | None:
        """Pixels of the split in GPU memory; ``None`` without a GPU or above :data:`RESIDENT_SHARE` of its memory."""
        if self._device.type != "cuda":
            return None
        pixels = self._images.pixels
        if np.prod(pixels.shape) > RESIDENT_SHARE * torch.cuda.get_device_properties(self._device).total_memory:
            return None
        return torch.from_numpy(np.array(pixels[:])).to(self._device)

    def _pixels(self, epoch: int, order: Order) -> Iterator[Tensor]:
        """Yield the pixels of each batch, shape (b, 3, height, width), uint8."""
        pixels = self._images.pixels
        if not (self._augmentation.per_image or isinstance(pixels, FileRows)):
            for rows, _ in order:
                if self._resident is None:
                    yield torch.from_numpy(pixels[rows.numpy()])
                else:
                    yield self._resident[rows.to(self._device)]
            return
        loader = DataLoader(
            PerImage(images=self._images, augmentation=self._augmentation, mean=self._dataset.mean, seed=self._seed),
            batch_sampler=[
                [(epoch, row, side) for row in rows[self._team.part(len(rows))].tolist()] for rows, side in order
            ],
            num_workers=self._augmentation.workers,
            collate_fn=torch.stack,
            pin_memory=self._device.type == "cuda",
            generator=torch.Generator(),  # otherwise the loader would draw from the global generator
        )
        try:
            yield from map(self._team.gather, loader)
        except RunError as error:  # its message is a worker process's whole traceback; keep the last line
            raise RunError(str(error).splitlines()[-1].removeprefix("nas.errors.RunError: ")) from error

    def _mixed(self, images: Tensor, labels: Tensor, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Apply mixup or CutMix to a batch."""
        if not (self._augmentation.mixup or self._augmentation.cutmix):
            return images, labels
        from torchvision.transforms import v2

        settings = [(v2.MixUp, self._augmentation.mixup), (v2.CutMix, self._augmentation.cutmix)]
        wanted = [(kind, alpha) for kind, alpha in settings if alpha > 0]
        rng = rng_for(self._seed, epoch, f"mix {step}")
        kind, alpha = wanted[int(rng.integers(len(wanted)))]
        if kind is v2.CutMix and self._augmentation.cutmix_probability is not None:
            return cut_mix(images, labels, self._dataset.n_classes, self._augmentation, rng)
        with seeded(int(rng.integers(2**32))):
            mixed: tuple[Tensor, Tensor] = kind(alpha=alpha, num_classes=self._dataset.n_classes)(images, labels)
        return mixed
