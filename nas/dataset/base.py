"""Base class for image classification data sets, and the types that they exchange."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nas.types import NonNegativeFloat, NonNegativeInt, Probability


class Pixels(Protocol):
    """Protocol for the pixels of a split: an array in memory, or files that are read on access."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all images, (n, 3, height, width)."""

    def __getitem__(self, rows: slice | npt.NDArray[np.int64], /) -> npt.NDArray[np.uint8]:
        """Return the images in ``rows`` as RGB, shape (k, 3, height, width)."""


@dataclass(frozen=True)
class Images:
    """The images of one split.

    Attributes:
        pixels: RGB pixels, shape (n, 3, height, width), uint8.
        labels: Class indices, shape (n,), int64.

    Example:
        >>> import numpy as np
        >>> from nas.dataset.base import Images
        >>> len(Images(np.zeros((5, 3, 8, 8), dtype=np.uint8), np.zeros(5, dtype=np.int64)))
        5
    """

    pixels: Pixels
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Augmentation:
    """Augmentation of training images, and the number of worker processes that apply it.

    ``shift``, ``flip``, ``cutout``, ``mixup`` and ``cutmix`` change a whole batch on the device. ``crop``, ``jitter``,
    ``policy`` and ``erasing`` change one image at a time on the CPU, where ``workers`` run in parallel. The defaults
    change nothing.

    Attributes:
        shift: Largest translation in each direction, as a share of the image's side, 0 to 1.
        flip: Whether to mirror images left to right, each with probability 0.5.
        cutout: Side of the square that is blanked out, as a share of the image's side, 0 to 1; 0 for none.
        crop: Smallest area of a random resized crop, as a share of the image's area, 0 to 1; 1 for the center square.
        jitter: Largest relative change of brightness, contrast and saturation; 0 for none.
        policy: Augmentation policy: RandAugment, AutoAugment or AugMix in timm's notation, for example
            ``"rand-m9-mstd0.5-inc1"``, ``"original"`` or ``"augmix-m3-w3"``, or AutoAugment's policies ``"cifar10"``
            and ``"svhn"``; ``None`` for no policy.
        erasing: Probability that a random rectangle of an image gets the mean color (Zhong et al., AAAI 2020).
        mixup: Alpha of mixup (Zhang et al., ICLR 2018); 0 for no mixup. It mixes whole batches, and labels become
            probabilities.
        cutmix: Alpha of CutMix (Yun et al., ICCV 2019); 0 for no CutMix. If ``mixup`` is set too, each batch gets one
            of them at random.
        cutmix_probability: Probability for each image that CutMix replaces a rectangle of it; ``None`` to mix whole
            batches with one rectangle.
        workers: Number of worker processes that read and change images; 0 for the main process. The images do not
            depend on it.

    Example:
        >>> from nas.dataset.base import Augmentation
        >>> Augmentation(shift=0.1, flip=True, cutout=0.0).per_image
        False
        >>> Augmentation(shift=0.1, flip=True, cutout=0.0, policy="rand-m9-mstd0.5-inc1").per_image
        True
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
        """Whether images are also changed one at a time, before they form a batch."""
        return self.crop < 1 or self.jitter > 0 or self.policy is not None or self.erasing > 0


class Dataset(ABC):
    """Base class for image classification data sets with three splits.

    Attributes:
        class_names: Names of the classes; the index of a name is its label.
        mean, std: Mean and standard deviation of the training pixels scaled to 0..1, per channel, length 3. They
            normalize images.
        augmentation: Augmentation of training images.
        fingerprint: SHA-256 of images, labels and splits, as hexadecimal digits. Equal data have equal fingerprints.
        resolutions: Recommended sides of a network's square input in pixels, smallest first. Supernets use them
            through ``${dataset.resolutions}``.

    Example:
        >>> import numpy as np
        >>> from nas.dataset.base import Augmentation, Dataset, Images
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
        """Number of classes."""
        return len(self.class_names)

    def sizes(self) -> dict[str, int]:
        """Return the number of ``"classes"`` and the number of images in each split, by name."""
        return {"classes": self.n_classes} | {name: self.size(name) for name in ("train", "validation", "test")}

    @abstractmethod
    def split(self, name: str) -> Images:
        """Return the images of the split ``"train"``, ``"validation"`` or ``"test"``; splits are disjoint."""

    def size(self, name: str) -> int:
        """Return the number of images in a split."""
        return len(self.split(name))
