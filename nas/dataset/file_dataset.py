"""What all data sets of image files have in common."""

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
"""Training images that mean and standard deviation are computed from where decoded images are not kept."""


class FileOptions(TypedDict):
    """Settings that all data sets of image files have.

    Attributes:
        size: Side in pixels to which images are decoded.
        storage: Storage of decoded images: "cache" on the disk, or "files" that are read each time.
        corrupt: Whether to refuse or to skip images that cannot be read.
        mean: Mean per channel of pixels scaled to 0..1; computed from the training images if ``None``, from a thousand
            of them where decoded images are not kept.
        std: Standard deviation per channel; computed from the training images if ``None``.
        resolutions: Recommended sides of a network's input, in pixels.
        augmentation: Augmentation of training images.
        cache: Folder of decoded images.
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
    """Image files in three splits. Files of no split are not read.

    With ``storage="cache"`` images are decoded once, when they are first needed, and then memory-mapped. With
    ``"files"`` they are decoded whenever they are used: nothing is written, and a data set may be of any size.
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
            root: The data set's folder.
            listing: Its files.
            splits: Indices of files by split, disjoint.
            options: See :class:`FileOptions`.

        Raises:
            UserError: If images shall be left out that are known only once all are decoded.
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
        """Per channel of the training pixels scaled to 0..1."""
        return self._moment(0)

    @cached_property
    def std(self) -> Channels:  # type: ignore[override]
        """Per channel of the training pixels scaled to 0..1."""
        return self._moment(1)

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Of the images' pixels; of the files' names and sizes where decoded images are not kept."""
        return self._content.fingerprint

    def split(self, name: str) -> Images:
        """Return the images of the split ``"train"``, ``"validation"`` or ``"test"``, read when they are used.

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
        except OSError as error:  # a link to nowhere, for example
            raise UserError(f"{error.filename} cannot be read ({error.strerror}): repair or remove it") from error
        return _Content(splits, mean_and_std(sums, self._size**2), fingerprint(digest, listing.labels, rows))

    def _check_headers(self, paths: Sequence[str]) -> None:
        """Raise UserError if a file's header shows that it cannot be used: of TIFF, which comes in many kinds."""
        tiffs = [self._root / path for path in paths if path.lower().endswith((".tif", ".tiff"))]
        with ThreadPoolExecutor() as pool:
            checks = [pool.submit(check_header, path) for path in tiffs]
            for path, check in zip(tiffs, checks, strict=True):
                if error := check.exception():
                    raise UserError(f"{path} cannot be read ({reason(error)}); repair or remove it") from error

    def _files(self, rows: Indices) -> Pixels:
        return FileRows(root=self._root, paths=[self._listing.paths[row] for row in rows], size=self._size)

    def _from_cache(self) -> _Content:
        """Decode what is not in the cache; images are in the order of the listing."""
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
