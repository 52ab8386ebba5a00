"""Decoding of image files, in parallel threads."""

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
"""Version of the decoder, part of the cache key. Increase it when the same files decode to other pixels."""

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")

CHUNK = 128
"""Largest number of images in a chunk, which one thread decodes."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Chunk:
    """Some decoded files.

    Attributes:
        paths: Paths of the n readable files, relative to the data set's folder.
        images: RGB pixels of the readable files, shape (n, 3, size, size), uint8.
        unreadable: Paths of the unreadable files, each with the reason.
        animated: Paths of the readable files with several frames; their first frame is used.
    """

    paths: list[str]
    images: Pixels
    unreadable: list[tuple[str, str]]
    animated: list[str]


def decode_files(root: Path, paths: Sequence[str], size: int) -> Iterator[Chunk]:
    """Decode image files in parallel threads. The decoders release Python's global interpreter lock.

    Args:
        root: Folder of the data set.
        paths: Paths of the files, relative to ``root``.
        size: Side of the decoded images, in pixels.

    Yields:
        Chunks of decoded files, in the order of ``paths``.
    """
    length = max(1, min(CHUNK, -(-len(paths) // (os.cpu_count() or 1))))  # smaller chunks if there are few images
    chunks = [paths[start : start + length] for start in range(0, len(paths), length)]
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # Pillow warns of readable files with, for example, a damaged EXIF block
        yield from pool.map(partial(_decode_chunk, root, size), chunks)


def decode_image(path: Path, size: int) -> tuple[Pixels, bool]:
    """Decode one image file to RGB, shape (3, size, size), uint8; also return whether it has several frames.

    The shorter side is resized to ``size`` with antialiasing, and the center is cropped. Exceptions of the decoder
    for a damaged file are passed on.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from nas.dataset.decoding import decode_image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (30, 20), "white").save(Path(folder) / "white.png")
        ...     pixels, several_frames = decode_image(Path(folder) / "white.png", 8)
        >>> pixels.shape, int(pixels.min()), several_frames
        ((3, 8, 8), 255, False)
    """
    image, several = _opened(path, size)
    return np.asarray(centre_square(image, size)).transpose(2, 0, 1), several


def open_rgb(path: Path, size: int) -> Image.Image:
    """Open one image file as RGB, uncropped.

    The camera's orientation is applied. Transparent pixels become white. The first of several frames is used. A large
    JPEG is decoded at a reduced scale, whose sides are at least ``2 * size`` pixels. Exceptions of the decoder for a
    damaged file are passed on.

    Raises:
        PixelError: If the meaning of the file's pixel values is unknown.
    """
    return _opened(path, size)[0]


def check_header(path: Path) -> None:
    """Raise the exception of :func:`open_rgb` if the file's header shows that the file cannot be used."""
    with _image(path) as image:
        kind_of(image)


def centre_square(image: Image.Image, size: int) -> Image.Image:
    """Resize the largest centered square of an image to ``size`` pixels, with antialiasing."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))


def _image(path: Path) -> Image.Image:
    """Open a file without reading its pixels."""
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
    """Return the image of :func:`open_rgb`, and whether the file has several frames.

    The MPO files of some cameras hold two pictures of one scene. They count as one frame.
    """
    with _image(path) as image:
        kind = kind_of(image)
        several = image.format != "MPO" and bool(getattr(image, "is_animated", False))
        image.draft(None, (2 * size, 2 * size))
        with suppress(Exception):  # the image may be readable even if its EXIF data are damaged
            ImageOps.exif_transpose(image, in_place=True)
        rgb = _to_rgb(image, kind)
        rgb.load()
        return rgb, several


def _to_rgb(image: Image.Image, kind: PixelKind) -> Image.Image:
    """Convert to RGB; transparent pixels become white."""
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
    """Return the problem with a file as a short text on one line, without the file's path."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a known format"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]
