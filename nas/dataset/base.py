"""Images in memory, split into training, validation and test set."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Images:
    """The decoded images of one split.

    Attributes:
        pixels: RGB, shape (n, 3, height, width), uint8; may be memory-mapped.
        labels: class indices, shape (n,), int64.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images, applied to whole batches.

    Attributes:
        shift: largest translation in each direction, as a share of the image's side.
        flip: whether images are mirrored left to right, each with probability one half.
        cutout: side of the square that is blanked out, as a share of the image's side; 0 for none.
    """

    shift: float
    flip: bool
    cutout: float


class Dataset(ABC):
    """A classification data set.

    Attributes:
        class_names: one a class; the index is the label.
        mean, std: of the training pixels scaled to 0..1, per channel, length 3.
        augmentation: what training images go through.
        fingerprint: SHA-256 of pixels, labels and splits, as hexadecimal digits: equal data, equal fingerprint.
        resolutions: recommended sides of a network's square input in pixels, smallest first; supernets take
            them over by ``${dataset.resolutions}``.
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

    @abstractmethod
    def split(self, name: str) -> Images:
        """Return the images of the split ``"train"``, ``"validation"`` or ``"test"``; no image is in two."""
