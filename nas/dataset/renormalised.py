"""Images that are normalised otherwise."""

from typing import final

from nas.dataset.base import Dataset, Images
from nas.dataset.summary import Channels


@final
class Renormalised(Dataset):
    """A data set with the mean and the standard deviation that a network's weights were trained with."""

    def __init__(self, dataset: Dataset, *, mean: Channels, std: Channels) -> None:
        """Take the images.

        Args:
            dataset: the images, and how they are augmented.
            mean: subtracted from pixels scaled to 0..1, per channel.
            std: what they are divided by then, per channel.
        """
        self._dataset = dataset
        self.class_names, self.fingerprint = dataset.class_names, dataset.fingerprint
        self.mean, self.std, self.augmentation = mean, std, dataset.augmentation
        self.resolutions = dataset.resolutions

    def split(self, name: str) -> Images:
        """Return the images of a split."""
        return self._dataset.split(name)

    def size(self, name: str) -> int:
        """Return how many images a split has."""
        return self._dataset.size(name)
