"""scikit-learn's handwritten digits: 1,797 real images that come with the package."""

from typing import Unpack, final

import numpy as np

from nas.dataset.array_dataset import ArrayDataset, ArrayOptions
from nas.dataset.splits import stratified
from nas.types import NonNegativeInt, PositiveInt


@final
class Digits(ArrayDataset):
    """The digits 0 to 9, 8x8 pixels, gray values repeated in three channels (Alpaydin and Kaynak, UCI, 1998)."""

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
            split_seed: Seed of the random splits; independent of the run's seed, so all runs see the same data.
            vld_size: Number of validation images.
            test_size: Number of test images.
            options: See :class:`ArrayOptions`.

        Raises:
            UserError: If the splits do not leave an image of every class to each other.
        """
        from sklearn.datasets import load_digits

        data = load_digits()
        gray = np.rint(data.images * (255 / 16)).astype(np.uint8)
        pixels, labels = np.repeat(gray[:, None], 3, axis=1), data.target.astype(np.int64)
        names = tuple(str(name) for name in data.target_names)
        splits = stratified(labels, names, {"test": test_size, "validation": vld_size}, split_seed)
        super().__init__(pixels=pixels, labels=labels, class_names=names, splits=splits, **options)
