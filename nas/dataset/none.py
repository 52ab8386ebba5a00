"""Placeholder for a data set, for evaluators that need no images."""

from typing import final

from nas.dataset.base import Augmentation, Dataset, Images
from nas.errors import UserError
from nas.types import PositiveInt


@final
class NoImages(Dataset):
    """Data set without images, for results from tables or predictors.

    Example:
        >>> from nas.dataset.none import NoImages
        >>> NoImages(classes=10).sizes()
        {'classes': 10}
    """

    def __init__(self, *, classes: PositiveInt = 1000, resolutions: tuple[PositiveInt, ...] = (160, 192, 224)) -> None:
        """Set the values that supernets read.

        Args:
            classes: Number of classes; the classifier's outputs count in the costs of a network.
            resolutions: Recommended sides of a network's square input, in pixels.
        """
        self.class_names = tuple(str(label) for label in range(classes))
        self.mean = self.std = (1.0, 1.0, 1.0)
        self.augmentation = Augmentation(shift=0.0, flip=False, cutout=0.0)
        self.resolutions = tuple(resolutions)
        self.fingerprint = f"none{classes}"

    def sizes(self) -> dict[str, int]:
        """Return the number of classes."""
        return {"classes": self.n_classes}

    def split(self, name: str) -> Images:
        """Raise UserError: there are no images."""
        raise UserError("dataset=none has no images: choose a data set, or an evaluator such as evaluator=predictor")
