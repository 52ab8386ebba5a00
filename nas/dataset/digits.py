"""The handwritten digits of scikit-learn: 1,797 images that are part of the package."""

from typing import Unpack, final

import numpy as np

from nas.dataset.array_dataset import ArrayDataset, ArrayOptions
from nas.dataset.splits import stratified
from nas.types import NonNegativeInt, PositiveInt


@final
class Digits(ArrayDataset):
    """Handwritten digits 0 to 9, 8x8 pixels, with gray values repeated in three channels.

    Source: Alpaydin and Kaynak, UCI Machine Learning Repository, 1998.

    Example:
        >>> from nas.dataset.base import Augmentation
        >>> from nas.dataset.digits import Digits
        >>> augmentation = Augmentation(shift=0.1, flip=False, cutout=0.0)
        >>> digits = Digits(mean=None, std=None, resolutions=(8,), augmentation=augmentation)
        >>> digits.sizes()
        {'classes': 10, 'train': 897, 'validation': 450, 'test': 450}
        >>> digits.split("test").pixels.shape
        (450, 3, 8, 8)
    """

    def __init__(
        self,
        *,
        split_seed: NonNegativeInt = 0,
        vld_size: PositiveInt = 450,
        test_size: PositiveInt = 450,
        **options: Unpack[ArrayOptions],
    ) -> None:
        """Load and split the images.

        Args:
            split_seed: Seed of the random splits, independent of the run's seed so that all runs see the same data.
            vld_size: Number of validation images.
            test_size: Number of test images.
            options: Further settings, see :class:`ArrayOptions`.

        Raises:
            UserError: If a split would have no image of a class.
        """
        from sklearn.datasets import load_digits

        data = load_digits()
        gray = np.rint(data.images * (255 / 16)).astype(np.uint8)
        pixels, labels = np.repeat(gray[:, None], 3, axis=1), data.target.astype(np.int64)
        names = tuple(str(name) for name in data.target_names)
        splits = stratified(labels, names, {"test": test_size, "validation": vld_size}, split_seed)
        super().__init__(pixels=pixels, labels=labels, class_names=names, splits=splits, **options)
