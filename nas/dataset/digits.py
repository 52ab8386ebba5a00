"""scikit-learn's handwritten digits: 1,797 real images that come with the package."""

from hashlib import sha256

import numpy as np

from nas.dataset.base import Augmentation, Dataset, Images
from nas.dataset.splits import stratified
from nas.dataset.summary import channel_sums, fingerprint, mean_and_std
from nas.types import NonNegativeInt, PositiveInt, Probability


class Digits(Dataset):
    """The digits 0 to 9, 8x8 pixels, gray values repeated in three channels (Alpaydin and Kaynak, UCI, 1998)."""

    def __init__(
        self,
        *,
        split_seed: NonNegativeInt,
        vld_size: PositiveInt,
        test_size: PositiveInt,
        resolutions: tuple[PositiveInt, ...],
        shift: Probability,
        flip: bool,
        cutout: Probability,
    ) -> None:
        """Load and split the images.

        Args:
            split_seed: of the random splits; independent of the run's seed, so that all runs see the same data.
            vld_size: number of validation images.
            test_size: number of test images.
            resolutions: recommended sides of a network's input, in pixels.
            shift: largest translation of training images, as a share of the side.
            flip: whether training images are mirrored at random.
            cutout: side of the square that is blanked out in training images, as a share of the side.

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
        self.mean, self.std = mean_and_std(channel_sums(self._pixels[self._splits["train"]]), gray[0].size)
        self.augmentation = Augmentation(shift=shift, flip=flip, cutout=cutout)
        self.resolutions = tuple(resolutions)
        self.fingerprint = fingerprint(sha256(self._pixels.data).hexdigest(), self._labels, self._splits)

    def split(self, name: str) -> Images:
        """Return the images of the split ``"train"``, ``"validation"`` or ``"test"``, in memory."""
        rows = self._splits[name]
        return Images(pixels=self._pixels[rows], labels=self._labels[rows])
