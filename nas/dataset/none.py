"""No data at all, where results come from tables or predictors."""

from typing import final

from nas.dataset.base import Augmentation, Dataset, Images
from nas.errors import UserError
from nas.types import PositiveInt


@final
class NoImages(Dataset):
    """Classes without images."""

    def __init__(self, *, classes: PositiveInt = 1000, resolutions: tuple[PositiveInt, ...] = (160, 192, 224)) -> None:
        """Set what supernets want to know.

        Args:
            classes: Number of classes, whose outputs count in the costs.
            resolutions: Recommended sides of a network's input, in pixels.
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
        """Raise UserError: there is nothing to look at."""
        raise UserError("dataset=none has no images: choose a data set, or an evaluator such as evaluator=predictor")
