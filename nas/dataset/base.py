"""Images with their classes, split into training, validation and test set."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nas.types import NonNegativeFloat, NonNegativeInt, Probability


class Pixels(Protocol):
    """Images that are there when they are asked for: an array, or files that are read then."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, 3, height, width)."""

    def __getitem__(self, rows: slice | npt.NDArray[np.int64], /) -> npt.NDArray[np.uint8]:
        """Return some of the images, (k, 3, height, width), RGB."""


@dataclass(frozen=True)
class Images:
    """The images of one split.

    Attributes:
        pixels: RGB, shape (n, 3, height, width), uint8.
        labels: Class indices, shape (n,), int64.

    Example:
        >>> len(Images(np.zeros((5, 3, 8, 8), dtype=np.uint8), np.zeros(5, dtype=np.int64)))
        5
    """

    pixels: Pixels
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images, and the number of processes that make them.

    Whole batches are shifted, mirrored, cut out and mixed. Each image on its own is cropped, jittered, changed by a
    policy and erased: that takes processes. What is left out changes nothing.

    Attributes:
        shift: Largest translation in each direction, as a share of the image's side.
        flip: Whether images are mirrored left to right, each with probability one half.
        cutout: Side of the square that is blanked out, as a share of the image's side; 0 for none.
        crop: Smallest share of an image's area that a random crop of random shape has, which is then resized; 1 for
            the square in the center.
        jitter: Largest relative change of brightness, contrast and saturation; 0 for none.
        policy: RandAugment, AutoAugment or AugMix as timm writes them, for example ``"rand-m9-mstd0.5-inc1"``,
            ``"original"``, ``"augmix-m3-w3"``, or ``"cifar10"`` and ``"svhn"``, AutoAugment's policies for these data
            sets; ``None`` for none.
        erasing: Probability that a random rectangle of an image gets the mean color (Zhong et al., AAAI 2020).
        mixup: Alpha of mixup (Zhang et al., ICLR 2018), for whole batches; 0 for none. Labels become
            probabilities.
        cutmix: Alpha of CutMix (Yun et al., ICCV 2019); 0 for none. With both, each batch gets one of them.
        cutmix_probability: Probability for each image that a rectangle of another image replaces part of it; ``None``
            mixes whole batches with one rectangle.
        workers: Processes that read and change images; 0 for the main process. Images are the same with any number.

    Example:
        >>> Augmentation(shift=0.1, flip=True, cutout=0.0).per_image
        False
    """

    shift: Probability
    flip: bool
    cutout: Probability
    crop: Probability = 1.0
    jitter: NonNegativeFloat = 0.0
    policy: str | None = None
    erasing: Probability = 0.0
    mixup: NonNegativeFloat = 0.0
    cutmix: NonNegativeFloat = 0.0
    cutmix_probability: Probability | None = None
    workers: NonNegativeInt = 0

    @property
    def per_image(self) -> bool:
        """Whether each image is changed on its own before images become a batch."""
        return self.crop < 1 or self.jitter > 0 or self.policy is not None or self.erasing > 0


class Dataset(ABC):
    """Base class for image classification data sets with three splits.

    Attributes:
        class_names: One a class; the index is the label.
        mean, std: Mean and standard deviation of the training pixels scaled to 0..1, per channel, length 3; they
            normalize images.
        augmentation: Augmentation of training images.
        fingerprint: SHA-256 of images, labels and splits, as hexadecimal digits: equal data, equal fingerprint.
        resolutions: Recommended sides of a network's square input in pixels, smallest first; supernets take
            them over by ``${dataset.resolutions}``.

    Example:
        >>> class Noise(Dataset):
        ...     class_names, resolutions = ("dark", "bright"), (8,)
        ...     mean, std, fingerprint = (0.5, 0.5, 0.5), (0.3, 0.3, 0.3), "1"
        ...     augmentation = Augmentation(shift=0.0, flip=False, cutout=0.0)
        ...     def split(self, name):
        ...         labels = np.arange(6) % 2
        ...         return Images(np.zeros((6, 3, 8, 8), dtype=np.uint8) + 200 * labels[:, None, None, None], labels)
        >>> Noise().sizes()
        {'classes': 2, 'train': 6, 'validation': 6, 'test': 6}
    """

    class_names: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    augmentation: Augmentation
    fingerprint: str
    resolutions: tuple[int, ...]

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    def sizes(self) -> dict[str, int]:
        """Return the number of ``"classes"``, and of the images in each split by its name."""
        return {"classes": self.n_classes} | {name: self.size(name) for name in ("train", "validation", "test")}

    @abstractmethod
    def split(self, name: str) -> Images:
        """Return the images of the split ``"train"``, ``"validation"`` or ``"test"``; no image is in two."""

    def size(self, name: str) -> int:
        """Return how many images a split has."""
        return len(self.split(name))
