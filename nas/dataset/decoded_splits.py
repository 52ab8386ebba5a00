"""Image files of three splits, decoded once."""

from collections.abc import Mapping
from pathlib import Path
from typing import final

import numpy as np

from nas.dataset.base import Images
from nas.dataset.image_cache import Corrupt, decoded_images, open_pixels
from nas.dataset.listing import Listing
from nas.dataset.splits import Indices
from nas.dataset.summary import fingerprint, mean_and_std
from nas.errors import UserError

SPLITS = ("train", "validation", "test")


@final
class DecodedSplits:
    """The images of three splits, and what is computed from them. Files of no split are not decoded.

    Attributes:
        mean, std, fingerprint: as a data set has them, see :class:`nas.dataset.base.Dataset`.
    """

    def __init__(
        self,
        *,
        root: Path,
        listing: Listing,
        splits: Mapping[str, Indices],
        size: int,
        corrupt: Corrupt,
        cache: Path,
    ) -> None:
        """Decode what is not in the cache.

        Args:
            root: the data set's folder.
            listing: its n images.
            splits: indices of images by split, disjoint.
            size: side in pixels to which images are decoded.
            corrupt: whether to refuse or to leave out images that cannot be read.
            cache: where decoded images are kept.

        Raises:
            UserError: if images cannot be read, or if a class has no training image left when they are left out.
        """
        rows = np.concatenate([splits[name] for name in SPLITS])
        decoded = decoded_images(root, [listing.paths[row] for row in rows], size, corrupt, cache)
        position = {path: at for at, path in enumerate(decoded.index.paths)}
        at = np.array([position.get(listing.paths[row], -1) for row in rows])
        starts = np.cumsum([len(splits[name]) for name in SPLITS])[:-1]
        self._splits = {name: part[part >= 0] for name, part in zip(SPLITS, np.split(at, starts), strict=True)}
        self._labels = np.empty(len(position), np.int64)
        self._labels[at[at >= 0]] = listing.labels[rows[at >= 0]]
        self._folder = decoded.folder
        train = self._splits["train"]
        counts = np.bincount(self._labels[train], minlength=len(listing.class_names))
        if not counts.all():
            name = listing.class_names[int(np.argmin(counts))]
            raise UserError(f"none of the training images of class '{name}' can be read")
        self.mean, self.std = mean_and_std(decoded.sums[train], size * size)
        self.fingerprint = fingerprint(decoded.index.pixels_digest, self._labels, self._splits)

    def split(self, name: str) -> Images:
        """Return the images of a split: mapped from the disk where they lie side by side, otherwise copied."""
        at = self._splits[name]
        pixels = open_pixels(self._folder)
        side_by_side = len(at) > 0 and bool((np.diff(at) == 1).all())
        chosen = pixels[at[0] : at[-1] + 1] if side_by_side else np.asarray(pixels[at])
        return Images(pixels=chosen, labels=self._labels[at])
