"""Cache of decoded images on disk: files are decoded once and memory-mapped afterwards."""

import json
import logging
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import IO, Literal
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from nas.cache import in_cache, locked
from nas.dataset.decoding import VERSION, Pixels, decode_files
from nas.dataset.summary import channel_sums
from nas.errors import NasError, UserError
from nas.files import read_json, write_json, writing

COMPARED = "compared.json"
"""File with the inode, size and times of the ``pixels.npy`` whose content last matched its checksum."""

Corrupt = Literal["refuse", "skip"]
Sums = npt.NDArray[np.int64]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Index:
    """Index of a cache folder, stored as ``index.json``.

    Attributes:
        size: Side of the images in pixels.
        paths: Paths of the readable files, relative to the data set's folder, in the order of the pixels.
        unreadable: Paths of the unreadable files, each with the reason.
        pixels_digest: SHA-256 of the pixels.
        sums_digest: SHA-256 of the channel sums.
    """

    size: int
    paths: list[str]
    unreadable: list[list[str]]
    pixels_digest: str
    sums_digest: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the index itself."""
        return sha256(json.dumps(vars(self)).encode()).hexdigest()


@dataclass(frozen=True)
class Decoded:
    """Decoded images on disk.

    Attributes:
        folder: Folder of ``pixels.npy``, ``sums.npy`` and ``index.json``.
        index: Content of these files.
        sums: Each image's sum and sum of squares per channel, shape (n, 2, 3).
    """

    folder: Path
    index: Index
    sums: Sums


def open_pixels(folder: Path) -> Pixels:
    """Open the images of a cache folder, shape (n, 3, size, size), memory-mapped; changes are not written to disk."""
    pixels: Pixels = np.load(folder / "pixels.npy", mmap_mode="c", allow_pickle=False)
    return pixels


def decoded_images(root: Path, paths: Sequence[str], size: int, corrupt: Corrupt, cache: Path) -> Decoded:
    """Return decoded image files from the cache; decode them with ``decode_image`` first if necessary.

    Several processes may call this at the same time; one of them decodes, and the others wait. A damaged cache is
    detected and written again.

    Args:
        root: Folder of the data set.
        paths: Paths of the image files, relative to ``root``, in the order of the result.
        size: Side of the decoded images, in pixels.
        corrupt: Handling of unreadable files: ``"refuse"`` or ``"skip"``.
        cache: Folder of the cache; the images are in its folder ``images/<key>``. The key is a hash of everything that
            determines the pixels, including the files' sizes and modification times.

    Raises:
        UserError: If files cannot be read and ``corrupt`` is ``"refuse"``; nothing is left in the cache then.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from nas.dataset.image_cache import decoded_images
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (9, 6), "white").save(Path(folder) / "white.png")
        ...     decoded = decoded_images(Path(folder), ["white.png"], 2, "refuse", Path(folder) / "cache")
        >>> decoded.index.paths, decoded.sums[0, 0].tolist()
        (['white.png'], [1020, 1020, 1020])
    """
    folder = cache / "images" / _key(root, paths, size)
    decoded = _load(folder) or _decode_locked(root, paths, size, corrupt, folder)
    _refuse_unreadable(root, decoded.index, corrupt)
    if decoded.index.unreadable:
        logger.warning("%s; they are skipped", _describe_unreadable(root, decoded.index))
    return decoded


def _key(root: Path, paths: Sequence[str], size: int) -> str:
    """Return the name of the cache folder; it is equal exactly if the same pixels can be expected."""
    files: list[tuple[str, int, int]] = []
    for path in sorted(paths):
        try:
            status = (root / path).stat()
        except OSError:  # for example a broken link, which decoding reports
            files.append((path, -1, -1))
        else:
            files.append((path, status.st_size, status.st_mtime_ns))
    return sha256(json.dumps([VERSION, size, files]).encode()).hexdigest()


def _load(folder: Path) -> Decoded | None:
    """Return the images in a cache folder; ``None`` if it does not exist or is damaged."""
    try:
        stored = read_json(folder / "index.json")
        decoded = Decoded(folder, Index(**stored["index"]), np.load(folder / "sums.npy", allow_pickle=False))
        index, shape = decoded.index, open_pixels(folder).shape
        whole = (
            stored["checksum"] == index.checksum
            and sha256(decoded.sums.tobytes()).hexdigest() == index.sums_digest
            and shape == (len(index.paths), 3, index.size, index.size)
            and _as_decoded(folder, index)
        )
    except (OSError, ValueError, EOFError, KeyError, TypeError):
        return None
    return decoded if whole else None


def _as_decoded(folder: Path, index: Index) -> bool:
    """Return whether the pixels match their checksum; an unchanged file is not compared again."""
    stamp = _stamp(folder)
    with suppress(OSError, ValueError):
        if read_json(folder / COMPARED) == stamp:
            return True
    if sha256(np.ascontiguousarray(open_pixels(folder)).data).hexdigest() != index.pixels_digest:
        return False
    with suppress(NasError):  # a read-only cache is compared each time
        write_json(folder / COMPARED, stamp)
    return True


def _stamp(folder: Path) -> list[int]:
    """Return inode, size and times of the file of pixels, which change whenever the file does."""
    status = (folder / "pixels.npy").stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _describe_unreadable(root: Path, index: Index) -> str:
    first, reason = index.unreadable[0]
    total = len(index.unreadable) + len(index.paths)
    return f"{len(index.unreadable):,} of {total:,} images cannot be read, first: {root / first} ({reason})"


def _refuse_unreadable(root: Path, index: Index, corrupt: Corrupt) -> None:
    if index.unreadable and corrupt == "refuse":
        raise UserError(f"{_describe_unreadable(root, index)}; repair or remove them, or set dataset.corrupt=skip")


def _decode_locked(root: Path, paths: Sequence[str], size: int, corrupt: Corrupt, folder: Path) -> Decoded:
    """Decode into ``folder`` unless another process did in the meantime; remove everything after an error."""
    new = [parent for parent in folder.parents if not parent.exists()]
    lock = folder.with_suffix(".lock")
    waiting = partial(logger.info, "another process decodes the images of %s: waiting for it", root)
    try:
        with locked(lock, waiting), in_cache():
            return _load(folder) or _decode_atomically(root, paths, size, corrupt, folder)
    except BaseException:
        with suppress(OSError):
            lock.unlink(missing_ok=True)
        for parent in new:
            with suppress(OSError):  # not empty: another process uses it
                parent.rmdir()
        raise


def _decode_atomically(root: Path, paths: Sequence[str], size: int, corrupt: Corrupt, folder: Path) -> Decoded:
    """Decode into a temporary folder and rename it to ``folder``."""
    if folder.exists():
        logger.warning("the decoded images in %s are damaged: decoding again", folder)
        shutil.rmtree(folder)
    for leftover in folder.parent.glob(f".{folder.name}.*"):  # temporary folders of killed processes
        shutil.rmtree(leftover)
    logger.info(
        "decoding %s images of %s to %d x %d pixels, once: into %s", f"{len(paths):,}", root, size, size, folder
    )
    start = perf_counter()
    temporary = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}")
    try:
        with writing(folder):
            temporary.mkdir()
            index, sums = _write(root, paths, size, temporary)
        _refuse_unreadable(root, index, corrupt)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    logger.info("decoded %s images in %.1f s", f"{len(index.paths):,}", perf_counter() - start)
    return Decoded(folder, index, sums)


def _write(root: Path, paths: Sequence[str], size: int, folder: Path) -> tuple[Index, Sums]:
    """Decode image files and write pixels, channel sums and index to ``folder``."""
    readable: list[str] = []
    unreadable: list[list[str]] = []
    animated: list[str] = []
    sums = [np.empty((0, 2, 3), np.int64)]
    digest = sha256()
    with (folder / "pixels.npy").open("wb") as file:
        _write_header(file, len(paths), size)
        for chunk in decode_files(root, paths, size):
            file.write(chunk.images.data)
            digest.update(chunk.images.data)
            sums.append(channel_sums(chunk.images))
            readable += chunk.paths
            unreadable += [list(pair) for pair in chunk.unreadable]
            animated += chunk.animated
        file.seek(0)
        _write_header(file, len(readable), size)
    if animated:
        logger.warning(
            "%s of %s images have several frames, first: %s; of each the first frame is used",
            f"{len(animated):,}",
            f"{len(paths):,}",
            root / animated[0],
        )
    all_sums = np.concatenate(sums)
    np.save(folder / "sums.npy", all_sums)
    index = Index(size, readable, unreadable, digest.hexdigest(), sha256(all_sums.tobytes()).hexdigest())
    write_json(folder / "index.json", {"checksum": index.checksum, "index": vars(index)})
    return index, all_sums


def _write_header(file: IO[bytes], n_images: int, size: int) -> None:
    """Write the header of ``pixels.npy``; its length does not depend on the number of images."""
    shape = (n_images, 3, size, size)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
