"""Base class for data sets of image files."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import numpy as np

from nas.dataset.base import Augmentation, Dataset, Images, Pixels
from nas.dataset.decoding import check_header, reason
from nas.dataset.file_rows import CachedRows, FileRows
from nas.dataset.image_cache import Corrupt, decoded_images
from nas.dataset.listing import Listing
from nas.dataset.splits import Indices
from nas.dataset.summary import Channels, Std, channel_sums, channels, file_digest, fingerprint, mean_and_std
from nas.errors import UserError
from nas.types import PositiveInt

Storage = Literal["cache", "files"]

SPLITS = {"train": "training", "validation": "validation", "test": "test"}
SAMPLE = 1000
"""Number of training images for the mean and the standard deviation if decoded images are not stored."""


class FileOptions(TypedDict):
    """Settings of data sets of image files.

    Attributes:
        size: Side of the decoded square images, in pixels.
        storage: Storage of decoded images: "cache" keeps them on disk, "files" decodes the files at each access.
        corrupt: Handling of unreadable images: "refuse" raises an error, "skip" leaves them out.
        mean: Mean per channel of pixels scaled to 0..1; ``None`` to compute it from the training images. With
            ``storage="files"`` it is computed from about a thousand of them.
        std: Standard deviation per channel of pixels scaled to 0..1; ``None`` to compute it from the same images.
        resolutions: Recommended sides of a network's square input, in pixels.
        augmentation: Augmentation of training images.
        cache: Folder of the cache; decoded images are in its folder ``images/``.
    """

    size: PositiveInt
    storage: Storage
    corrupt: Corrupt
    mean: Channels | None
    std: Std | None
    resolutions: tuple[PositiveInt, ...]
    augmentation: Augmentation
    cache: Path


@dataclass(frozen=True)
class _Content:
    splits: Mapping[str, Images]
    moments: tuple[Channels, Channels]
    fingerprint: str


class FileDataset(Dataset):
    """Base class for data sets of image files in three splits. Files of no split are not read.

    With ``storage="cache"`` images are decoded once, on first use, and then memory-mapped. With ``"files"`` they are
    decoded at each access. Nothing is written then, so the data set may be of any size.

    Example:
        >>> from nas.dataset.base import Augmentation
        >>> from nas.dataset.file_dataset import FileDataset
        >>> from nas.dataset.listing import Listing
        >>> listing = Listing(("cat", "dog"), ("1.png", "2.png"), labels=np.arange(2), test=np.zeros(2, bool))
        >>> options = {"size": 8, "storage": "files", "corrupt": "refuse", "mean": None, "std": None,
        ...            "resolutions": (8,), "augmentation": Augmentation(shift=0.0, flip=False, cutout=0.0)}
        >>> splits = {"train": np.arange(2), "validation": np.arange(0), "test": np.arange(0)}
        >>> FileDataset(root=Path("photos"), listing=listing, splits=splits, cache=Path("cache"), **options).n_classes
        2
    """

    def __init__(
        self,
        *,
        root: Path,
        listing: Listing,
        splits: Mapping[str, Indices],
        **options: Unpack[FileOptions],
    ) -> None:
        """Describe the data set; no image is read yet.

        Args:
            root: Folder of the data set.
            listing: List of the data set's files, with their classes.
            splits: Indices of the files of each split, by name; disjoint.
            options: Further settings, see :class:`FileOptions`.

        Raises:
            UserError: If ``corrupt="skip"`` is combined with ``storage="files"``. Only decoding all files shows which
                ones are unreadable.
        """
        if options["storage"] == "files" and options["corrupt"] == "skip":
            raise UserError("dataset.corrupt=skip needs dataset.storage=cache: only decoding shows what is unreadable")
        self.class_names = listing.class_names
        self.augmentation = options["augmentation"]
        self.resolutions = tuple(options["resolutions"])
        self._root = root
        self._listing = listing
        self._rows = dict(splits)
        self._size = options["size"]
        self._storage = options["storage"]
        self._corrupt = options["corrupt"]
        self._given = (options["mean"], options["std"])
        self._cache = options["cache"]

    @cached_property
    def mean(self) -> Channels:  # type: ignore[override]
        """Mean per channel of the training pixels scaled to 0..1."""
        return self._moment(0)

    @cached_property
    def std(self) -> Channels:  # type: ignore[override]
        """Standard deviation per channel of the training pixels scaled to 0..1."""
        return self._moment(1)

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        """SHA-256 of pixels, labels and splits; with ``storage="files"``, of file names and sizes instead of pixels."""
        return self._content.fingerprint

    def split(self, name: str) -> Images:
        """Return the images of the split ``"train"``, ``"validation"`` or ``"test"``; pixels are read on access.

        Raises:
            UserError: If images cannot be read.
        """
        return self._content.splits[name]

    def _moment(self, at: int) -> Channels:
        given = self._given[at]
        return channels(given, given or self._content.moments[at])

    @cached_property
    def _content(self) -> _Content:
        return self._from_cache() if self._storage == "cache" else self._from_files()

    def _from_files(self) -> _Content:
        listing, rows = self._listing, self._rows
        self._check_headers([listing.paths[row] for part in rows.values() for row in part])
        splits = {name: Images(self._files(rows[name]), listing.labels[rows[name]]) for name in SPLITS}
        train = splits["train"].pixels
        sums = np.zeros((1, 2, 3), np.int64)
        if None in self._given:
            sums = channel_sums(train[np.arange(0, len(rows["train"]), -(-len(rows["train"]) // SAMPLE))])
        try:
            digest = file_digest(self._root, listing.paths)
        except OSError as error:  # for example a broken link
            raise UserError(f"{error.filename} cannot be read ({error.strerror}): repair or remove it") from error
        return _Content(splits, mean_and_std(sums, self._size**2), fingerprint(digest, listing.labels, rows))

    def _check_headers(self, paths: Sequence[str]) -> None:
        """Raise UserError if the header of a TIFF file shows that its kind of pixels is not supported."""
        tiffs = [self._root / path for path in paths if path.lower().endswith((".tif", ".tiff"))]
        with ThreadPoolExecutor() as pool:
            checks = [pool.submit(check_header, path) for path in tiffs]
            for path, check in zip(tiffs, checks, strict=True):
                if error := check.exception():
                    raise UserError(f"{path} cannot be read ({reason(error)}); repair or remove it") from error

    def _files(self, rows: Indices) -> Pixels:
        return FileRows(root=self._root, paths=[self._listing.paths[row] for row in rows], size=self._size)

    def _from_cache(self) -> _Content:
        """Take the decoded images from the cache, or decode them; images are in the order of the listing."""
        listing = self._listing
        used = np.sort(np.concatenate(list(self._rows.values())))
        decoded = decoded_images(
            self._root, [listing.paths[row] for row in used], self._size, self._corrupt, self._cache
        )
        position = {path: at for at, path in enumerate(decoded.index.paths)}
        at = np.full(len(listing.paths), -1)
        at[used] = [position.get(listing.paths[row], -1) for row in used]
        labels = np.empty(len(position), np.int64)
        labels[at[used][at[used] >= 0]] = listing.labels[used[at[used] >= 0]]
        rows = {name: at[part][at[part] >= 0] for name, part in self._rows.items()}
        for name, part in self._rows.items():
            lost = np.setdiff1d(listing.labels[part], labels[rows[name]])
            if len(lost):
                raise UserError(f"none of the {SPLITS[name]} images of class '{self.class_names[lost[0]]}' can be read")
        return _Content(
            {name: Images(CachedRows(folder=decoded.folder, rows=rows[name]), labels[rows[name]]) for name in SPLITS},
            mean_and_std(decoded.sums[rows["train"]], self._size**2),
            fingerprint(decoded.index.pixels_digest, labels, rows),
        )
