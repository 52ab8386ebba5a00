"""Image files decoded in parallel."""

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

VERSION = 1
"""Raised whenever the same files decode to other pixels: it is part of the cache's key."""

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")

CHUNK = 128
"""Most images that a thread decodes before it hands them over."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Chunk:
    """Decoded files.

    Attributes:
        paths: the files that can be read.
        images: their pixels, shape (n, 3, size, size).
        unreadable: the other files, each with the reason.
    """

    paths: list[str]
    images: Pixels
    unreadable: list[tuple[str, str]]


def decode_files(root: Path, paths: Sequence[str], size: int) -> Iterator[Chunk]:
    """Decode image files in parallel, in threads: the decoders run without Python's lock.

    Args:
        root: the data set's folder.
        paths: files relative to it.
        size: side in pixels.

    Yields:
        The files in their order.
    """
    length = max(1, min(CHUNK, -(-len(paths) // (os.cpu_count() or 1))))  # a few images are decoded in parallel too
    chunks = [paths[start : start + length] for start in range(0, len(paths), length)]
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # odd but readable files, for example with a damaged EXIF block
        yield from pool.map(partial(_decode_chunk, root, size), chunks)


def decode_image(path: Path, size: int) -> Pixels:
    """Decode one image file to RGB, shape (3, size, size).

    The shorter side is resized to ``size`` with antialiasing and the centre is cut out. Whatever the decoder raises
    for a damaged file is passed on.
    """
    return np.asarray(centre_square(open_rgb(path, size), size)).transpose(2, 0, 1)


def open_rgb(path: Path, size: int) -> Image.Image:
    """Open one image file as RGB in its own shape, with the detail that a part of it needs at ``size`` pixels.

    The camera's orientation is applied, and what is transparent becomes white. Of a large JPEG no more detail is
    decoded than twice the size needs. Whatever the decoder raises for a damaged file is passed on.
    """
    with Image.open(path, formats=FORMATS) as image:
        image.draft(None, (2 * size, 2 * size))
        with suppress(Exception):  # unreadable EXIF data: the image itself may be fine, and is read below
            ImageOps.exif_transpose(image, in_place=True)
        rgb = _to_rgb(image)
        rgb.load()
        return rgb


def centre_square(image: Image.Image, size: int) -> Image.Image:
    """Resize the largest square in the centre of an image to ``size`` pixels, with antialiasing."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB: 16-bit gray by its upper 8 bits, transparency over white."""
    if image.mode.startswith("I"):
        gray = np.clip(np.asarray(image).astype(np.int64), 0, 65535) // 256
        return Image.fromarray(gray.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _decode_chunk(root: Path, size: int, paths: Sequence[str]) -> Chunk:
    chunk = Chunk(paths=[], images=np.empty((len(paths), 3, size, size), np.uint8), unreadable=[])
    for path in paths:
        try:
            chunk.images[len(chunk.paths)] = decode_image(root / path, size)
            chunk.paths.append(path)
        except Exception as error:  # decoders raise almost anything on damaged files
            chunk.unreadable.append((path, reason(error)))
    return replace(chunk, images=chunk.images[: len(chunk.paths)])


def reason(error: Exception) -> str:
    """Return what is wrong with a file in a few words on one line, without its path."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a known format"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]
