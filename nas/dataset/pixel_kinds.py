"""Interpretation of pixel values that are not 8-bit unsigned integers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

BITS, PHOTOMETRIC, LEAST, MOST, SAMPLE_FORMAT, SIGNED_LEAST, SIGNED_MOST = 258, 262, 280, 281, 339, 340, 341
"""Numbers of TIFF tags."""

DARKEST = 16
"""Divisor of the full range: the brightest pixel must reach one sixteenth of it.

A darker 16-bit image probably holds 12-bit values.
"""


class PixelError(ValueError):
    """Error for pixel values of unknown meaning; the message names the values and the remedy."""


@dataclass(frozen=True)
class PixelKind:
    """Type and range of the pixel values of one image.

    Attributes:
        name: Name of the kind, for messages.
        bits: Number of bits of a value.
        signed: Whether values are signed integers.
        floating: Whether values are floating-point numbers.
        black: Value of black; ``None`` if the file does not state it.
        white: Value of white; ``None`` if the file does not state it.
        inverted: Whether black and white are exchanged.
    """

    name: str
    bits: int = 8
    signed: bool = False
    floating: bool = False
    black: float | None = 0
    white: float | None = 255
    inverted: bool = False

    @property
    def usual(self) -> bool:
        """Whether Pillow's conversion to RGB is correct for this kind."""
        return self.bits <= 8 and not (self.signed or self.floating)


def kind_of(image: Image.Image) -> PixelKind:
    """Return the kind of an image that was opened but not yet read; the header is enough.

    Raises:
        PixelError: If the image holds signed integers and does not state the values of black and white.

    Example:
        >>> from PIL import Image
        >>> from nas.dataset.pixel_kinds import kind_of
        >>> kind_of(Image.new("I;16", (8, 8))).name
        '16-bit'
    """
    if image.format == "TIFF":
        return _kind_of_tiff(getattr(image, "tag_v2", {}))
    if image.mode == "F":
        return PixelKind("32-bit floating point", 32, floating=True, black=None, white=None)
    tiles = getattr(image, "tile", ())
    rawmode = str(tiles[0][3]) if tiles else ""
    deep = image.mode.startswith("I") or "16" in rawmode
    return PixelKind("16-bit", 16, white=2**16 - 1) if deep else PixelKind("8-bit")


def gray_of(image: Image.Image, kind: PixelKind) -> Image.Image:
    """Convert an image with one channel to 8-bit gray.

    Unsigned integers keep their upper 8 bits; other values are scaled and rounded. A transparent value becomes white.

    Raises:
        PixelError: If values are outside of the known range, or so small a part of it that the image would be black.
    """
    values = np.asarray(image)
    if kind.floating or kind.signed:
        gray = _scaled(values.astype(np.int8) if kind.bits == 8 else values, kind)
    else:
        numbers = values.astype(np.int64) & (2**kind.bits - 1)  # Pillow reads 32-bit values as signed
        assert kind.white is not None
        _check_range(float(numbers.max()), kind.white, kind)
        gray = np.minimum(numbers * 256 // (int(kind.white) + 1), 255)
        transparent = image.info.get("transparency")
        if isinstance(transparent, int):
            gray = np.where(numbers == transparent, 0 if kind.inverted else 255, gray)
    gray = gray.astype(np.uint8)
    return Image.fromarray(255 - gray if kind.inverted else gray)


def check_colours(image: Image.Image, kind: PixelKind) -> None:
    """Raise PixelError if an image with 16 bits per channel is black in the upper 8 bits, which Pillow keeps."""
    extrema: Any = image.getextrema()
    colours = extrema[:3] if image.mode in ("RGBA", "RGBX", "RGBa") else extrema
    if max(most for _, most in colours) < 256 // DARKEST:
        raise PixelError(_too_dark(f"{max(most for _, most in colours) * 256 + 255}", kind, 2**kind.bits - 1))


def _kind_of_tiff(tags: Any) -> PixelKind:
    bits = int(max(_numbers(tags, BITS) or [1]))
    form = (_numbers(tags, SAMPLE_FORMAT) or [1])[0]
    least, most = (_numbers(tags, signed) or _numbers(tags, plain) for signed, plain in
                   ((SIGNED_LEAST, LEAST), (SIGNED_MOST, MOST)))  # fmt: skip
    inverted = tags.get(PHOTOMETRIC) == 0 and bits > 8
    if form == 3:
        black, white = (least[0], most[0]) if least and most else (None, None)
        return PixelKind(f"{bits}-bit floating point", bits, floating=True, black=black, white=white, inverted=inverted)
    if form == 2:
        if not (least and most and least[0] < most[0]):
            raise PixelError(
                f"signed {bits}-bit integers: which of them is black and which is white is unknown; save it as "
                f"unsigned integers, or with the tags SMinSampleValue and SMaxSampleValue"
            )
        return PixelKind(
            f"signed {bits}-bit integers", bits, signed=True, black=least[0], white=most[0], inverted=inverted
        )
    used = int(most[0]).bit_length() if most and most[0] > 0 else bits  # for example 12 of 16 bits
    return PixelKind(f"{bits}-bit", bits, white=2 ** min(used, bits) - 1, inverted=inverted)


def _numbers(tags: Any, tag: int) -> list[float]:
    found = tags.get(tag, ())
    return [float(value) for value in (found if isinstance(found, tuple) else (found,))]


def _scaled(values: npt.NDArray[Any], kind: PixelKind) -> npt.NDArray[np.float64]:
    """Scale floating-point or signed values to 0..255.

    The range is the one that the file states. Floating-point values without a stated range are 0..1 if none exceeds
    1, and 0..255 if the largest one is about 16 or more.
    """
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise PixelError(f"{kind.name} with values that are no numbers: replace them")
    least, most = float(values.min()), float(values.max())
    if kind.black is not None and kind.white is not None:
        black, white = kind.black, kind.white
    else:
        black, white = 0.0, 1.0 if most <= 1 else 255.0
        if least < 0 or most > white or 1 < most < white / DARKEST:
            raise PixelError(
                f"{kind.name} from {least:.4g} to {most:.4g}: only 0 to 1 and 0 to 255 are known; scale it to that, or "
                f"save it with the tags SMinSampleValue and SMaxSampleValue"
            )
        _check_range(most, white, kind)
    return np.rint(255 * np.clip((values - black) / (white - black), 0, 1))


def _check_range(most: float, white: float, kind: PixelKind) -> None:
    if 0 < most < (white + (0 if kind.floating else 1)) / DARKEST:
        raise PixelError(_too_dark(f"{most:.4g}", kind, white))


def _too_dark(most: str, kind: PixelKind, white: float) -> str:
    return (
        f"{kind.name}, but no value is above {most} of {white:.10g}, so that it would be black: scale its values to "
        f"the whole range{'' if kind.floating else ', or save it as TIFF with the tag MaxSampleValue'}"
    )
