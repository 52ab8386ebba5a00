"""scikit-learn's handwritten digits: 1,797 real images that come with the package."""

from hashlib import sha256
from typing import final

import numpy as np

from nas.dataset.base import Augmentation, Dataset, Images
from nas.dataset.splits import stratified
from nas.dataset.summary import Channels, Std, channel_sums, channels, fingerprint, mean_and_std
from nas.types import NonNegativeInt, PositiveInt


@final
class Digits(Dataset):
    """The digits 0 to 9, 8x8 pixels, gray values repeated in three channels (Alpaydin and Kaynak, UCI, 1998)."""

    def __init__(
        self,
        *,
        split_seed: NonNegativeInt,
        vld_size: PositiveInt,
        test_size: PositiveInt,
        mean: Channels | None,
        std: Std | None,
        resolutions: tuple[PositiveInt, ...],
        augmentation: Augmentation,
    ) -> None:
        """Load and split the images.

        Args:
            split_seed: of the random splits; independent of the run's seed, so that all runs see the same data.
            vld_size: number of validation images.
            test_size: number of test images.
            mean: per channel of pixels scaled to 0..1; computed from the training images if ``None``.
            std: likewise.
            resolutions: recommended sides of a network's input, in pixels.
            augmentation: what training images go through.

        Raises:
            UserError: if the splits do not leave an image of every class to each other.
        """
        from sklearn.datasets import load_digits

        data = load_digits()
        gray = np.rint(data.images * (255 / 16)).astype(np.uint8)
        self._pixels = np.repeat(gray[:, None], 3, axis=1)
        self._labels = data.target.astype(np.int64)
        self.class_names = tuple(str(name) for name in data.target_names)
        self._splits = stratified(
            self._labels, self.class_names, {"test": test_size, "validation": vld_size}, split_seed
        )
        moments = mean_and_std(channel_sums(self._pixels[self._splits["train"]]), gray[0].size)
        self.mean, self.std = channels(mean, moments[0]), channels(std, moments[1])
        self.augmentation = augmentation
        self.resolutions = tuple(resolutions)
        self.fingerprint = fingerprint(sha256(self._pixels.data).hexdigest(), self._labels, self._splits)

    def split(self, name: str) -> Images:
        """Return the images of the split ``"train"``, ``"validation"`` or ``"test"``, in memory."""
        rows = self._splits[name]
        return Images(pixels=self._pixels[rows], labels=self._labels[rows])
