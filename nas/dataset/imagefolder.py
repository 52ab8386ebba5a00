"""Data set from any folder of images with one folder per class."""

import logging
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Unpack, final

import numpy as np
import numpy.typing as npt

from nas.dataset.file_dataset import FileDataset, FileOptions
from nas.dataset.listing import Listing, class_folders, image_files, sample
from nas.dataset.split_folders import split_folders
from nas.dataset.splits import Indices, fewest, stratified
from nas.errors import UserError
from nas.files import expanded
from nas.types import NonNegativeInt, PositiveInt

logger = logging.getLogger(__name__)


@final
class ImageFolder(FileDataset):
    """Data set from class folders, either directly in ``path`` or in split folders such as ``train/`` and ``test/``.

    :data:`nas.dataset.split_folders.WORDS` lists the names of split folders. If there is one split folder besides the
    training folder, it holds the test set. If there are two, each split has its own folder. Class folders may contain
    folders and links to folders. Hidden files, system files and files without an image's ending are ignored.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from nas.dataset.base import Augmentation
        >>> from nas.dataset.imagefolder import ImageFolder
        >>> folder = tempfile.TemporaryDirectory()
        >>> for label in ("cat", "dog"):
        ...     Path(folder.name, label).mkdir()
        ...     files = [Path(folder.name, label, f"{number}.png").touch() for number in range(10)]
        >>> options = {"size": 8, "storage": "files", "corrupt": "refuse", "mean": None, "std": None, "cache": "cache",
        ...            "resolutions": (8,), "augmentation": Augmentation(shift=0.0, flip=False, cutout=0.0)}
        >>> ImageFolder(path=folder.name, **options).class_names
        ('cat', 'dog')
        >>> folder.cleanup()
    """

    def __init__(
        self,
        *,
        path: Path,
        vld_size: PositiveInt | None = None,
        test_size: PositiveInt | None = None,
        split_seed: NonNegativeInt = 0,
        **options: Unpack[FileOptions],
    ) -> None:
        """List and split the files; no image is read yet.

        Args:
            path: Folder of class folders, or of train/, valid/ and test/ with class folders in them.
            vld_size: Number of validation images; ``None`` for all images of the validation folder, or for a fifth of
                the training images if there is no validation folder.
            test_size: Number of test images if there is no test folder; ``None`` for a fifth of all images.
            split_seed: Seed of the random splits, independent of the run's seed so that all runs see the same data.
            options: Further settings, see :class:`FileOptions`.

        Raises:
            UserError: If the folder does not have the expected structure, or too few images for the splits. The
                message names the folder, class or file.
        """
        root = expanded(path, "dataset.path")
        listing, validation = _list_images(root)
        splits = _split(listing, validation, vld_size, test_size, split_seed)
        super().__init__(root=root, listing=listing, splits=splits, **options)


def _list_images(root: Path) -> tuple[Listing, npt.NDArray[np.bool_]]:
    """List the image files, and return a mask, shape (n,), of those that are in a validation folder.

    Raises:
        UserError: If the folder does not exist, cannot be read or does not have the expected structure.
    """
    try:
        if not root.is_dir():
            raise UserError(f"dataset.path: '{root}' {'is not a folder' if root.exists() else 'does not exist'}")
        parts = split_folders(root)
        train = parts["train"]
        class_names = class_folders(train)
        kinds = [kind for kind in ("train", "validation", "test") if kind in parts]
        folders = [train / name for name in class_names]
        for kind in kinds[1:]:
            folders += _same_classes(class_names, train, parts[kind])
        files = [image_files(folder, root) for folder in folders]
    except OSError as error:
        raise UserError(f"dataset.path: '{error.filename}' cannot be read ({error.strerror})") from error
    counts = [len(found) for found, _ in files]
    ignored = sum(others for _, others in files)
    logger.info(
        "%s: %s images of %d classes%s%s",
        root,
        f"{sum(counts):,}",
        len(class_names),
        f"; ignored {ignored:,} other files" if ignored else "",
        f"; {_told(parts)}" if len(parts) > 1 else "",
    )
    of = np.repeat(np.arange(len(files)) // len(class_names), counts)
    listing = Listing(
        class_names=class_names,
        paths=tuple(path for found, _ in files for path in found),
        labels=np.repeat(np.arange(len(files)) % len(class_names), counts),
        test=np.array([kind == "test" for kind in kinds])[of],
    )
    return listing, np.array([kind == "validation" for kind in kinds])[of]


def _told(parts: Mapping[str, Path]) -> str:
    """Return a text that names the folder of each split."""
    own = [f"{kind} images from '{parts[kind].name}'" for kind in ("validation", "test") if kind in parts]
    return ", ".join(
        [f"{'training' if len(own) == 2 else 'training and validation'} images from '{parts['train'].name}'", *own]
    )


def _same_classes(class_names: tuple[str, ...], train: Path, other: Path) -> list[Path]:
    """Return the class folders of another split in the order of the classes; UserError if it has other classes.

    Names are compared in Unicode's normal form NFC. Archives of macOS store ``é`` as two characters, others as one.
    """
    known, found = ({_composed(name): name for name in names} for names in (class_names, class_folders(other)))
    for present, names, absent, others in ((other, found, train, known), (train, known, other, found)):
        missing = sorted(names[name] for name in names.keys() - others.keys())
        if missing:
            more = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
            raise UserError(f"class '{missing[0]}'{more} is in '{present}', but not in '{absent}'")
    return [other / found[name] for name in known]


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _split(
    listing: Listing, validation: npt.NDArray[np.bool_], vld_size: int | None, test_size: int | None, seed: int
) -> dict[str, Indices]:
    """Split the files.

    A size of ``None`` is a fifth, but at least one image of each class that has enough images for every split.
    """
    pool = np.flatnonzero(~listing.test & ~validation)
    test = np.flatnonzero(listing.test)
    if validation.any():
        rows = sample(listing, np.flatnonzero(validation), "validation", vld_size, seed)
        return {"train": pool, "validation": rows, "test": test}
    tested = bool(listing.test.any())
    fifth = max(len(pool) // 5, fewest(listing.labels[pool], 2 if tested else 3))
    sizes = {} if tested else {"test": fifth if test_size is None else test_size}
    sizes["validation"] = fifth if vld_size is None else vld_size
    parts = stratified(listing.labels[pool], listing.class_names, sizes, seed)
    return {"test": test, **{name: pool[part] for name, part in parts.items()}}
