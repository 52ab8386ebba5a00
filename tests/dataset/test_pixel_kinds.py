"""Right values of pixels that are not 8 bits a channel, and refusals of those whose meaning is unknown."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nas.dataset.decoding import check_header, decode_image
from nas.dataset.pixel_kinds import BITS, LEAST, MOST, PHOTOMETRIC, SAMPLE_FORMAT, SIGNED_LEAST, SIGNED_MOST, PixelError

UNSIGNED, SIGNED, FLOATING = 1, 2, 3
RAMP = np.arange(16).reshape(4, 4) / 15
"""From black to white."""
GRAY = np.rint(255 * RAMP).astype(np.int64)


def tiff(path: Path, values: npt.NDArray[Any], form: int, bits: int | None = None, **tags: tuple[str, Any]) -> Path:
    """Write an uncompressed TIFF of one channel; ``tags`` are ``t<number>`` with a type of ``struct`` and a value."""
    types = {"H": 3, "I": 4, "f": 11, "h": 8, "i": 9}
    data = values.tobytes()
    if bits == 12:
        flat = values.ravel().astype(int)
        data = b"".join(
            bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in zip(flat[::2], flat[1::2], strict=True)
        )
    entries = {256: ("H", values.shape[1]), 257: ("H", values.shape[0]), BITS: ("H", bits or 8 * values.itemsize)}
    entries |= {259: ("H", 1), PHOTOMETRIC: ("H", 1), 273: ("I", 8), 277: ("H", 1), 278: ("H", values.shape[0])}
    entries |= {279: ("I", len(data)), SAMPLE_FORMAT: ("H", form)}
    entries |= {int(name[1:]): tag for name, tag in tags.items()}
    rows = [
        struct.pack("<HHI", number, types[kind], 1) + struct.pack(f"<{kind}", value).ljust(4, b"\0")
        for number, (kind, value) in sorted(entries.items())
    ]
    place = 8 + len(data) + len(data) % 2
    head = struct.pack("<2sHI", b"II", 42, place) + data.ljust(place - 8, b"\0")
    path.write_bytes(head + struct.pack("<H", len(rows)) + b"".join(rows) + struct.pack("<I", 0))
    return path


def gray(path: Path) -> npt.NDArray[np.int64]:
    """Return the pixels of an image of 4 by 4, whose channels must be equal."""
    pixels = decode_image(path, 4)[0].astype(np.int64)
    assert (pixels == pixels[:1]).all()
    first: npt.NDArray[np.int64] = pixels[0]
    return first


@pytest.mark.parametrize(
    ("values", "form", "bits", "tags"),
    [
        (np.rint(255 * RAMP).astype(np.uint8), UNSIGNED, None, {}),
        (np.rint(65535 * RAMP).astype(np.uint16), UNSIGNED, None, {}),
        (np.rint(4095 * RAMP).astype(np.uint16), UNSIGNED, 12, {}),
        (np.rint(4095 * RAMP).astype(np.uint16), UNSIGNED, None, {f"t{MOST}": ("H", 4095)}),
        (np.rint(4095 * RAMP).astype(np.uint16), UNSIGNED, None, {f"t{MOST}": ("H", 3900)}),
        (np.rint((2**32 - 1) * RAMP).astype(np.uint32), UNSIGNED, None, {}),
        (np.rint(65535 * RAMP).astype(np.uint32), UNSIGNED, None, {f"t{MOST}": ("H", 65535)}),
        (np.rint(65535 * (1 - RAMP)).astype(np.uint16), UNSIGNED, None, {f"t{PHOTOMETRIC}": ("H", 0)}),
        (RAMP.astype(np.float32), FLOATING, None, {}),
        ((255 * RAMP).astype(np.float32), FLOATING, None, {}),
        ((1 - RAMP).astype(np.float32), FLOATING, None, {f"t{PHOTOMETRIC}": ("H", 0)}),
        (
            (300 * RAMP - 100).astype(np.float32),
            FLOATING,
            None,
            {f"t{SIGNED_LEAST}": ("f", -100.0), f"t{SIGNED_MOST}": ("f", 200.0)},
        ),
        (
            np.rint(4095 * RAMP - 1024).astype(np.int16),
            SIGNED,
            None,
            {f"t{SIGNED_LEAST}": ("h", -1024), f"t{SIGNED_MOST}": ("h", 3071)},
        ),
        (
            np.rint(255 * RAMP - 128).astype(np.int8),
            SIGNED,
            None,
            {f"t{SIGNED_LEAST}": ("h", -128), f"t{SIGNED_MOST}": ("h", 127)},
        ),
        (np.rint(1000 * RAMP).astype(np.int32), SIGNED, None, {f"t{LEAST}": ("H", 0), f"t{MOST}": ("H", 1000)}),
    ],
)
def test_the_file_says_what_is_white(
    values: npt.NDArray[Any], form: int, bits: int | None, tags: dict[str, tuple[str, Any]], tmp_path: Path
) -> None:
    found = gray(tiff(tmp_path / "a.tif", values, form, bits, **tags))
    assert np.abs(found - GRAY).max() <= 1
    assert found[0, 0] == 0 and found[3, 3] == 255


@pytest.mark.parametrize(
    ("values", "form", "message", "by_header"),
    [
        (np.full((4, 4), 700, np.int16), SIGNED, "signed 16-bit integers: which of them is black", True),
        (np.full((4, 4), 7, np.int8), SIGNED, "signed 8-bit integers: which of them is black", True),
        (np.full((4, 4), 7, np.int32), SIGNED, "signed 32-bit integers: which of them is black", True),
        (np.full((4, 4), 0.5, np.float16), FLOATING, "a TIFF whose pixels are of a kind that cannot be read", True),
        ((9 * RAMP).astype(np.float32), FLOATING, "32-bit floating point from 0 to 9: only 0 to 1 and 0 to 255", False),
        ((900 * RAMP).astype(np.float32), FLOATING, "32-bit floating point from 0 to 900: only 0 to 1 and", False),
        ((RAMP - 0.5).astype(np.float32), FLOATING, "32-bit floating point from -0.5 to 0.5: only", False),
        ((RAMP / 20).astype(np.float32), FLOATING, "32-bit floating point, but no value is above 0.05 of 1", False),
        (np.full((4, 4), np.nan, np.float32), FLOATING, "with values that are no numbers", False),
        ((4095 * RAMP).astype(np.uint16), UNSIGNED, "16-bit, but no value is above 4095 of 65535", False),
        ((65535 * RAMP).astype(np.uint32), UNSIGNED, "32-bit, but no value is above 6.554e+04 of 4294967295", False),
    ],
)
def test_numbers_without_a_known_range_are_refused(
    values: npt.NDArray[Any], form: int, message: str, by_header: bool, tmp_path: Path
) -> None:
    path = tiff(tmp_path / "a.tif", values, form)
    with pytest.raises(PixelError) as caught:
        decode_image(path, 4)
    assert message in str(caught.value)
    if by_header:
        with pytest.raises(PixelError):
            check_header(path)
    else:
        check_header(path)


def test_an_image_that_is_all_black_stays_so(tmp_path: Path) -> None:
    assert not gray(tiff(tmp_path / "a.tif", np.zeros((4, 4), np.uint16), UNSIGNED)).any()
    assert not gray(tiff(tmp_path / "b.tif", np.zeros((4, 4), np.float32), FLOATING)).any()


def test_deep_png_and_pgm(tmp_path: Path) -> None:
    deep = np.rint(65535 * RAMP).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    assert np.array_equal(gray(tmp_path / "a.png"), deep // 256)
    Image.fromarray(deep).save(tmp_path / "b.png", transparency=int(deep[1, 2]))
    assert np.array_equal(gray(tmp_path / "b.png"), np.where(deep == deep[1, 2], 255, deep // 256))
    turned = Image.Exif()
    turned[0x0112] = 6  # the top of the file is the right side of the scene
    Image.fromarray(deep).save(tmp_path / "c.png", exif=turned)
    assert np.array_equal(gray(tmp_path / "c.png"), np.rot90(deep // 256, k=-1))
    Image.fromarray(deep).save(tmp_path / "d.tif", exif=turned)
    assert np.array_equal(gray(tmp_path / "d.tif"), np.rot90(deep // 256, k=-1))
    Image.fromarray(deep // 16).save(tmp_path / "e.png")
    with pytest.raises(
        PixelError, match="16-bit, but no value is above 4095 of 65535, so that it would be black: scale"
    ):
        decode_image(tmp_path / "e.png", 4)
    (tmp_path / "f.pgm").write_bytes(b"P5 4 4 4095\n" + np.rint(4095 * RAMP).astype(">u2").tobytes())
    assert np.abs(gray(tmp_path / "f.pgm") - GRAY).max() <= 1


@pytest.mark.parametrize("top", [255, 4095])
def test_colours_with_few_of_16_bits_are_refused(top: int, tmp_path: Path) -> None:
    values = np.repeat(np.rint(top * RAMP).astype("<u2")[:, :, None], 3, axis=2)
    path = tiff(tmp_path / "a.tif", values.reshape(4, 12), UNSIGNED)
    whole = bytearray(path.read_bytes())
    for number, value in ((256, 4), (277, 3), (PHOTOMETRIC, 2)):
        at = whole.index(struct.pack("<HHI", number, 3, 1), 8 + values.nbytes)
        whole[at + 8 : at + 10] = struct.pack("<H", value)
    path.write_bytes(whole)
    with pytest.raises(PixelError, match=f"16-bit, but no value is above {top} of 65535"):
        decode_image(path, 4)


def test_colours_under_an_alpha_channel_of_zeros_are_refused(tmp_path: Path) -> None:
    image = np.zeros((4, 4, 4), np.uint8)
    image[..., 0] = GRAY
    Image.fromarray(image).save(tmp_path / "a.png")
    with pytest.raises(
        PixelError, match="all of it is transparent, so that it would be white: remove its alpha channel"
    ):
        decode_image(tmp_path / "a.png", 4)
