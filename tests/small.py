"""A small data set and small supernets for tests that need torch."""

import hashlib
from typing import Any

import numpy as np
import torch

from nas.dataset.base import Augmentation, Dataset, Images
from nas.supernet.tiny import Tiny

torch.set_num_threads(1)  # with tensors as small as these, more threads only cost time


def tiny(**changes: Any) -> Tiny:
    settings: dict[str, Any] = {
        "n_classes": 4,
        "stem_width": 8,
        "stem_stride": 1,
        "stage_widths": (8, 12, 20),
        "strides": (1, 2, 2),
        "squeeze_excite": (False, True, True),
        "hard_swish": (False, False, True),
        "feature_width": 24,
        "depths": (1, 2, 3),
        "kernel_sizes": (3, 5, 7),
        "expand_ratios": (1, 2, 4),
        "widths": (0.5, 0.75, 1.0),
        "resolutions": (6, 8, 11),
        "dropout": 0.0,
        "seed": 0,
    }
    return Tiny(**(settings | changes))


class Bars(Dataset):
    """Noisy images with one bright row or column: a class that a network learns in a few epochs."""

    class_names = ("upper", "lower", "left", "right")
    mean = (0.4, 0.5, 0.6)
    std = (0.2, 0.25, 0.3)
    resolutions = (6, 8, 11)

    def __init__(self, side: int = 8, n: int = 48, augmentation: Augmentation | None = None) -> None:
        rng = np.random.default_rng(0)
        self._parts = {}
        for name in ("train", "validation", "test"):
            labels = np.arange(n) % 4
            pixels = rng.integers(0, 100, (n, 3, side, side))
            for image, label in zip(pixels, labels, strict=True):
                place = side // 4 if label in (0, 2) else 3 * side // 4
                image[(slice(None), place) if label < 2 else (slice(None), slice(None), place)] += 120
            self._parts[name] = Images(pixels.astype(np.uint8), labels.astype(np.int64))
        self.augmentation = augmentation or Augmentation(shift=0.1, flip=False, cutout=0.2)
        self.fingerprint = hashlib.sha256(self._parts["train"].pixels.tobytes()).hexdigest()

    def split(self, name: str) -> Images:
        return self._parts[name]
