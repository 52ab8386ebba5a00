"""Published data sets that come as class folders: CINIC-10 and ImageNet."""

from pathlib import Path
from typing import Unpack, final

from nas.dataset.file_dataset import FileDataset, FileOptions
from nas.dataset.listing import list_folders, split_listing
from nas.files import expanded
from nas.types import NonNegativeInt, PositiveInt


@final
class ClassFolders(FileDataset):
    """Class folders below folders for training and a folder for testing.

    Of a data set as large as ImageNet (Deng et al., CVPR 2009), a part of the training images is enough for a search
    on published weights: those it recalibrates batch-norm statistics with.
    """

    def __init__(
        self,
        *,
        path: Path,
        train_folders: tuple[str, ...],
        test_folder: str,
        train_size: PositiveInt | None,
        vld_size: PositiveInt = 10000,
        test_size: PositiveInt | None = None,
        split_seed: NonNegativeInt = 0,
        **options: Unpack[FileOptions],
    ) -> None:
        """List the files.

        Args:
            path: Folder of the data set.
            train_folders: Folders in it; training and validation images are taken from all of them.
            test_folder: Folder in it of the test images.
            train_size: Number of training images; all that are left by the validation split if ``None``.
            vld_size: Number of validation images, which are taken from the training images.
            test_size: Number of test images; all if ``None``.
            split_seed: Seed of the random splits; independent of the run's seed, so all runs see the same data.
            options: See :class:`FileOptions`.

        Raises:
            UserError: If the folder does not hold what the splits need.
        """
        root = expanded(path, "dataset.path")
        listing = list_folders(root, train_folders, test_folder, "dataset.path")
        splits = split_listing(listing, train_size=train_size, vld_size=vld_size, test_size=test_size, seed=split_seed)
        super().__init__(root=root, listing=listing, splits=splits, **options)
