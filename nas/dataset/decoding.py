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

from nas.dataset.pixel_kinds import PixelError, PixelKind, check_colours, gray_of, kind_of

VERSION = 2
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
        paths: The files that can be read.
        images: Their pixels, shape (n, 3, size, size).
        unreadable: The other files, each with the reason.
        animated: Those of the paths with several frames, of which the first one is used.
    """

    paths: list[str]
    images: Pixels
    unreadable: list[tuple[str, str]]
    animated: list[str]


def decode_files(root: Path, paths: Sequence[str], size: int) -> Iterator[Chunk]:
    """Decode image files in parallel, in threads: the decoders run without Python's lock.

    Args:
        root: The data set's folder.
        paths: Files relative to it.
        size: Side in pixels.

    Yields:
        The files in their order.
    """
    length = max(1, min(CHUNK, -(-len(paths) // (os.cpu_count() or 1))))  # a few images are decoded in parallel too
    chunks = [paths[start : start + length] for start in range(0, len(paths), length)]
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # odd but readable files, for example with a damaged EXIF block
        yield from pool.map(partial(_decode_chunk, root, size), chunks)


def decode_image(path: Path, size: int) -> tuple[Pixels, bool]:
    """Decode one image file to RGB, shape (3, size, size); also return whether it has frames beside the first one.

    The shorter side is resized to ``size`` with antialiasing and the center is cut out. Whatever the decoder raises
    for a damaged file is passed on.
    """
    image, several = _opened(path, size)
    return np.asarray(centre_square(image, size)).transpose(2, 0, 1), several


def open_rgb(path: Path, size: int) -> Image.Image:
    """Open one image file as RGB in its own shape, with the detail that a part of it needs at ``size`` pixels.

    The camera's orientation is applied, and what is transparent becomes white. Of several frames the first one is used.
    Of a large JPEG no more detail is decoded than twice the size needs. Whatever the decoder raises for a damaged file
    is passed on.

    Raises:
        PixelError: If it is unknown what the numbers in the file mean.
    """
    return _opened(path, size)[0]


def check_header(path: Path) -> None:
    """Raise what :func:`open_rgb` raises for a file whose first bytes show that it cannot be used."""
    with _image(path) as image:
        kind_of(image)


def centre_square(image: Image.Image, size: int) -> Image.Image:
    """Resize the largest square in the centre of an image to ``size`` pixels, with antialiasing."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))


def _image(path: Path) -> Image.Image:
    """Open a file, whose pixels are not read yet."""
    try:
        return Image.open(path, formats=FORMATS)
    except UnidentifiedImageError as error:
        with path.open("rb") as file:
            if file.read(4) in (b"II*\0", b"MM\0*"):
                raise PixelError(
                    "a TIFF whose pixels are of a kind that cannot be read: save it with 8 or 16 bits, or as PNG"
                ) from error
        raise


def _opened(path: Path, size: int) -> tuple[Image.Image, bool]:
    """Return what :func:`open_rgb` does, and whether there are other frames; the two pictures of a camera are one."""
    with _image(path) as image:
        kind = kind_of(image)
        several = image.format != "MPO" and bool(getattr(image, "is_animated", False))
        image.draft(None, (2 * size, 2 * size))
        with suppress(Exception):  # unreadable EXIF data: the image itself may be fine, and is read below
            ImageOps.exif_transpose(image, in_place=True)
        rgb = _to_rgb(image, kind)
        rgb.load()
        return rgb, several


def _to_rgb(image: Image.Image, kind: PixelKind) -> Image.Image:
    """Convert to RGB, transparency over white."""
    if not kind.usual:
        if len(image.getbands()) == 1:
            return gray_of(image, kind).convert("RGB")
        check_colours(image, kind)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        *colours, alpha = np.asarray(rgba).transpose(2, 0, 1)
        if not alpha.any() and any(np.ptp(channel) for channel in colours):
            raise PixelError("all of it is transparent, so that it would be white: remove its alpha channel")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _decode_chunk(root: Path, size: int, paths: Sequence[str]) -> Chunk:
    chunk = Chunk(paths=[], images=np.empty((len(paths), 3, size, size), np.uint8), unreadable=[], animated=[])
    for path in paths:
        try:
            chunk.images[len(chunk.paths)], several = decode_image(root / path, size)
            chunk.paths.append(path)
            chunk.animated.extend([path] * several)
        except Exception as error:  # decoders raise almost anything on damaged files
            chunk.unreadable.append((path, reason(error)))
    return replace(chunk, images=chunk.images[: len(chunk.paths)])


def reason(error: BaseException) -> str:
    """Return what is wrong with a file in a few words on one line, without its path."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a known format"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]
