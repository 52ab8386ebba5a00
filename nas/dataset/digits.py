"""The handwritten digits of scikit-learn: 1,797 images that are part of the package."""

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Unpack, final

import numpy as np

from nas.dataset.array_dataset import ArrayDataset, ArrayOptions
from nas.dataset.splits import stratified
from nas.types import Floats, NonNegativeInt, PositiveInt


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
        table = _table()
        gray = np.rint(table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
        pixels, labels = np.repeat(gray[:, None], 3, axis=1), table[:, -1].astype(np.int64)
        names = tuple(map(str, range(10)))
        splits = stratified(labels, names, {"test": test_size, "validation": vld_size}, split_seed)
        super().__init__(pixels=pixels, labels=labels, class_names=names, splits=splits, **options)


def _table() -> Floats:
    """Return gray values, 0 to 16, and labels, (1797, 65), from scikit-learn's file, without importing scikit-learn."""
    found = find_spec("sklearn")
    assert found is not None and found.submodule_search_locations, "scikit-learn is installed with this package"
    path = Path(found.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    with gzip.open(path) as file:
        return np.loadtxt(file, delimiter=",")
