"""Published data sets in class folders: CINIC-10 and ImageNet."""

from pathlib import Path
from typing import Unpack, final

from nas.dataset.file_dataset import FileDataset, FileOptions
from nas.dataset.listing import list_folders, split_listing
from nas.files import expanded
from nas.types import NonNegativeInt, PositiveInt


@final
class ClassFolders(FileDataset):
    """Data set with training folders and a test folder, each of which holds one folder per class.

    A search on published weights only needs training images to recalibrate batch norm. A subset of a large data set
    such as ImageNet (Deng et al., CVPR 2009) is enough for that.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from nas.dataset.base import Augmentation
        >>> from nas.dataset.class_folders import ClassFolders
        >>> folder = tempfile.TemporaryDirectory()
        >>> for name in ("train/cat/1.png", "train/cat/2.png", "train/dog/3.png", "train/dog/4.png",
        ...              "val/cat/5.png", "val/dog/6.png"):
        ...     Path(folder.name, name).parent.mkdir(parents=True, exist_ok=True)
        ...     Path(folder.name, name).touch()
        >>> options = {"size": 8, "storage": "files", "corrupt": "refuse", "mean": None, "std": None,
        ...            "resolutions": (8,), "augmentation": Augmentation(shift=0.0, flip=False, cutout=0.0)}
        >>> folders = {"path": folder.name, "train_folders": ("train",), "test_folder": "val", "cache": "cache"}
        >>> ClassFolders(**folders, train_size=None, vld_size=2, **options).class_names
        ('cat', 'dog')
        >>> folder.cleanup()
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
        """List and split the files; no image is read yet.

        Args:
            path: Folder of the data set.
            train_folders: Folders of training and validation images, relative to ``path``.
            test_folder: Folder of test images, relative to ``path``.
            train_size: Number of training images; ``None`` for all that the validation split leaves.
            vld_size: Number of validation images, drawn from the training images.
            test_size: Number of test images; ``None`` for all.
            split_seed: Seed of the random splits, independent of the run's seed so that all runs see the same data.
            options: Further settings, see :class:`FileOptions`.

        Raises:
            UserError: If a folder is absent or empty, or has too few images for the splits.
        """
        root = expanded(path, "dataset.path")
        listing = list_folders(root, train_folders, test_folder, "dataset.path")
        splits = split_listing(listing, train_size=train_size, vld_size=vld_size, test_size=test_size, seed=split_seed)
        super().__init__(root=root, listing=listing, splits=splits, **options)
