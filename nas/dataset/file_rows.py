"""Pixels of a split that are read on access."""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
import numpy.typing as npt
from PIL import Image

from nas.dataset.decoding import Pixels, decode_files, open_rgb, reason
from nas.dataset.image_cache import open_pixels
from nas.dataset.splits import Indices
from nas.errors import RunError


@final
class CachedRows:
    """Some rows of the memory-mapped images in a cache folder. Pickling stores row numbers instead of pixels."""

    def __init__(self, *, folder: Path, rows: Indices) -> None:
        """Store the folder and the rows; no image is read yet.

        Args:
            folder: Cache folder with the file ``pixels.npy``.
            rows: Rows of ``pixels.npy``, shape (n,).
        """
        self._folder = folder
        self._rows = rows
        self._pixels: Pixels | None = None

    def __getstate__(self) -> dict[str, object]:
        return vars(self) | {"_pixels": None}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all images, (n, 3, size, size)."""
        return (len(self._rows), *self._open().shape[1:])

    def __getitem__(self, rows: slice | Indices) -> Pixels:
        """Return a copy of the images in ``rows``, shape (k, 3, size, size)."""
        return np.asarray(self._open()[self._rows[rows]])

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Pixels:
        return self[:]

    def _open(self) -> Pixels:
        if self._pixels is None:
            self._pixels = open_pixels(self._folder)
        return self._pixels


@final
class FileRows:
    """Image files that are decoded at each access, in parallel threads."""

    def __init__(self, *, root: Path, paths: Sequence[str], size: int) -> None:
        """Store the paths; no file is read yet.

        Args:
            root: Folder of the data set.
            paths: Paths of n image files, relative to ``root``.
            size: Side of the decoded images, in pixels.
        """
        self._root = root
        self._paths = np.array(paths, dtype=np.str_)
        self._size = size

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all images, (n, 3, size, size)."""
        return (len(self._paths), 3, self._size, self._size)

    def __getitem__(self, rows: slice | Indices) -> Pixels:
        """Decode the images in ``rows`` with ``decode_image``, shape (k, 3, size, size).

        Raises:
            RunError: If one of the files cannot be read.
        """
        parts = [np.empty((0, *self.shape[1:]), np.uint8)]
        for chunk in decode_files(self._root, self._paths[rows].tolist(), self._size):
            for path, why in chunk.unreadable:
                raise RunError(_unreadable(self._root / path, why))
            parts.append(chunk.images)
        return np.concatenate(parts)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Pixels:
        return self[:]

    def photo(self, row: int, size: int) -> Image.Image:
        """Return one uncropped image as RGB.

        Args:
            row: Row of the image.
            size: Side in pixels that limits the decoded detail, see :func:`nas.dataset.decoding.open_rgb`.

        Raises:
            RunError: If the file cannot be read.
        """
        path = self._root / str(self._paths[row])
        try:
            return open_rgb(path, size)
        except Exception as error:  # decoders raise almost anything on damaged files
            raise RunError(_unreadable(path, reason(error))) from error


def _unreadable(path: Path, why: str) -> str:
    return f"{path} cannot be read ({why}): repair or remove it, or set dataset.storage=cache dataset.corrupt=skip"
