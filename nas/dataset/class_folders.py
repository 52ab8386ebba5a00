"""Published data sets that come as class folders: CINIC-10 and ImageNet."""

from pathlib import Path
from typing import final

from nas.dataset.base import Augmentation, Dataset, Images
from nas.dataset.decoded_splits import DecodedSplits
from nas.dataset.image_cache import Corrupt
from nas.dataset.listing import list_folders, split_listing
from nas.types import NonNegativeInt, PositiveInt, Probability


@final
class ClassFolders(Dataset):
    """Class folders below folders for training and a folder for testing.

    Only the images that are in a split are decoded, once, and then memory-mapped. So of a data set as large as
    ImageNet (Deng et al., CVPR 2009), a part of the training images is enough for a search on published weights:
    those it recalibrates batch-norm statistics with.
    """

    def __init__(
        self,
        *,
        path: Path,
        train_folders: tuple[str, ...],
        test_folder: str,
        size: PositiveInt,
        train_size: PositiveInt | None,
        vld_size: PositiveInt,
        test_size: PositiveInt | None,
        split_seed: NonNegativeInt,
        resolutions: tuple[PositiveInt, ...],
        shift: Probability,
        flip: bool,
        cutout: Probability,
        corrupt: Corrupt,
        cache: Path,
    ) -> None:
        """List the files and decode those that are not in the cache.

        Args:
            path: the data set's folder.
            train_folders: folders in it; training and validation images are taken from all of them.
            test_folder: folder in it of the test images.
            size: side in pixels to which images are decoded.
            train_size: number of training images; all that are left by the validation split if ``None``.
            vld_size: number of validation images, which are taken from the training images.
            test_size: number of test images; all if ``None``.
            split_seed: of the random splits; independent of the run's seed, so that all runs see the same data.
            resolutions: recommended sides of a network's input, in pixels.
            shift: largest translation of training images, as a share of the side.
            flip: whether training images are mirrored left to right at random.
            cutout: side of the square that is blanked out in training images, as a share of the side.
            corrupt: whether to refuse or to skip images that cannot be read.
            cache: where decoded images are kept.

        Raises:
            UserError: if the folder does not hold what the splits need, or images cannot be read.
        """
        root = Path(path).expanduser()
        listing = list_folders(root, train_folders, test_folder, "dataset.path")
        splits = split_listing(listing, train_size=train_size, vld_size=vld_size, test_size=test_size, seed=split_seed)
        self._decoded = DecodedSplits(
            root=root, listing=listing, splits=splits, size=size, corrupt=corrupt, cache=cache
        )
        self.class_names = listing.class_names
        self.mean, self.std = self._decoded.mean, self._decoded.std
        self.augmentation = Augmentation(shift=shift, flip=flip, cutout=cutout)
        self.resolutions = tuple(resolutions)
        self.fingerprint = self._decoded.fingerprint

    def split(self, name: str) -> Images:
        """Return the images of the split ``"train"``, ``"validation"`` or ``"test"``; they may be memory-mapped."""
        return self._decoded.split(name)
