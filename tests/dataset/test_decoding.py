import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas.dataset import decoding
from nas.dataset.decoding import decode_files, decode_image

COLOUR = (200, 100, 50)
LOSSLESS = {"webp": {"lossless": True}}


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def noise(side: int = 8, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


def test_an_image_of_the_right_size_keeps_its_pixels(tmp_path: Path) -> None:
    image = noise()
    pixels = decode_image(saved(tmp_path / "a.png", image), 8)[0]
    assert (pixels.shape, pixels.dtype) == ((3, 8, 8), np.uint8)
    assert np.array_equal(pixels, np.asarray(image).transpose(2, 0, 1))


@pytest.mark.parametrize("size", [(24, 8), (8, 24), (48, 16), (16, 64), (4, 12)])
def test_the_shorter_side_is_resized_and_the_centre_cut_out(tmp_path: Path, size: tuple[int, int]) -> None:
    image = noise(64).resize(size, Image.Resampling.NEAREST)
    width, height = (side * 8 // min(size) for side in size)
    left, top = (width - 8) // 2, (height - 8) // 2
    expected = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + 8, top + 8))
    pixels = decode_image(saved(tmp_path / "a.png", image), 8)[0]
    assert np.abs(pixels.astype(int) - np.asarray(expected).transpose(2, 0, 1)).max() <= 1


def test_shrinking_is_antialiased(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    pixels = decode_image(saved(tmp_path / "a.png", Image.fromarray(stripes)), 8)[0]
    assert np.abs(pixels.astype(int) - 127).max() < 16


def test_a_large_jpeg_is_decoded_close_to_its_full_detail(tmp_path: Path) -> None:
    smooth = noise(6).resize((640, 640), Image.Resampling.BICUBIC)
    pixels = decode_image(saved(tmp_path / "a.jpg", smooth, quality=95), 16)[0]
    exact = np.asarray(smooth.resize((16, 16), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.abs(pixels.astype(int) - exact).max() <= 6


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("gray.png", Image.new("L", (8, 8), 90), (90, 90, 90)),
        ("bits.png", Image.new("1", (8, 8), 1), (255, 255, 255)),
        ("deep.png", Image.fromarray(np.full((8, 8), 90 * 256 + 7, dtype=np.uint16)), (90, 90, 90)),
        ("palette.png", Image.new("RGB", (8, 8), COLOUR).quantize(4), COLOUR),
        ("alpha.png", Image.new("RGBA", (8, 8), (0, 0, 0, 0)), (255, 255, 255)),
        ("half.png", Image.new("RGBA", (8, 8), (255, 0, 0, 51)), (255, 204, 204)),
        ("gray_alpha.png", Image.new("LA", (8, 8), (10, 255)), (10, 10, 10)),
        ("cmyk.tif", Image.new("CMYK", (8, 8), (0, 255, 255, 0)), (255, 0, 0)),
        ("cmyk.jpg", Image.new("CMYK", (8, 8), (0, 0, 0, 255)), (0, 0, 0)),
        ("black.tif", Image.new("CMYK", (8, 8), (0, 0, 0, 255)), (0, 0, 0)),
        ("half.webp", Image.new("RGBA", (8, 8), (0, 0, 0, 0)), (255, 255, 255)),
        ("clear.gif", Image.new("RGBA", (8, 8), (0, 0, 0, 0)), (255, 255, 255)),
        ("half_gray.png", Image.new("LA", (8, 8), (0, 51)), (204, 204, 204)),
        ("bits.tif", Image.new("1", (8, 8), 0), (0, 0, 0)),
        ("picture.webp", Image.new("RGB", (8, 8), "white"), (255, 255, 255)),
        ("picture.gif", Image.new("RGB", (8, 8), "white"), (255, 255, 255)),
    ],
)
def test_every_kind_of_pixel_becomes_rgb(
    tmp_path: Path, name: str, image: Image.Image, expected: tuple[int, int, int]
) -> None:
    pixels = decode_image(saved(tmp_path / name, image), 8)[0]
    assert (pixels == np.array(expected)[:, None, None]).all()


def test_a_transparent_palette_colour_becomes_white(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    pixels = decode_image(saved(tmp_path / "a.png", image, transparency=1), 8)[0]
    assert (pixels == 255).all()


def test_the_orientation_of_the_camera_is_applied(tmp_path: Path) -> None:
    image = noise()
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the file is the right side of the scene
    turned = decode_image(saved(tmp_path / "a.png", image, exif=exif), 8)[0]
    assert np.array_equal(turned, np.rot90(np.asarray(image), k=-1).transpose(2, 0, 1))


@pytest.mark.parametrize("ending", ["jpg", "webp", "tif"])
def test_the_orientation_is_applied_once_in_every_format(tmp_path: Path, ending: str) -> None:
    image = Image.new("RGB", (32, 32), "black")
    image.paste("white", (16, 0, 32, 16))  # the upper right quarter
    exif = Image.Exif()
    exif[0x0112] = 8  # the top of the file is the left side of the scene
    pixels = decode_image(saved(tmp_path / f"a.{ending}", image, exif=exif), 2)[0][0]
    assert (pixels > 127).tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "tif"])
def test_the_first_of_several_frames_is_used(tmp_path: Path, ending: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "white")]
    saved(tmp_path / f"a.{ending}", frames[0], save_all=True, append_images=frames[1:], **LOSSLESS.get(ending, {}))
    saved(tmp_path / f"b.{ending}", frames[0], **LOSSLESS.get(ending, {}))
    chunks = list(decode_files(tmp_path, [f"a.{ending}", f"b.{ending}"], 8))
    images = np.concatenate([chunk.images for chunk in chunks])
    assert (images == np.array([255, 0, 0])[:, None, None]).all() and len(images) == 2
    assert [path for chunk in chunks for path in chunk.animated] == [f"a.{ending}"]


def test_damaged_camera_data_does_not_spoil_an_image(tmp_path: Path) -> None:
    image = noise()
    path = saved(tmp_path / "a.png", image, exif=b"Exif\0\0II*\0\xff\xff")
    assert np.array_equal(decode_image(path, 8)[0], np.asarray(image).transpose(2, 0, 1))


def test_files_come_in_their_order_whatever_the_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "CHUNK", 3)
    names = [saved(tmp_path / f"{i}.png", noise(seed=i)).name for i in range(10)]
    chunks = list(decode_files(tmp_path, names, 8))
    assert [len(chunk.paths) for chunk in chunks] == [3, 3, 3, 1]
    assert [path for chunk in chunks for path in chunk.paths] == names
    images = np.concatenate([chunk.images for chunk in chunks])
    assert all(np.array_equal(images[i], np.asarray(noise(seed=i)).transpose(2, 0, 1)) for i in range(10))


def test_unreadable_files_are_told_apart_with_a_reason_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / "good.png", noise())
    saved(tmp_path / "cut.jpg", noise(64))
    whole = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture\n")
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.png").mkdir()
    names = ["cut.jpg", "empty.jpg", "good.png", "text.png", "link.png", "folder.png"]
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    (chunk,) = decode_files(tmp_path, names, 8)
    assert chunk.paths == ["good.png"]
    assert np.array_equal(chunk.images, np.asarray(noise()).transpose(2, 0, 1)[None])
    reasons = dict(chunk.unreadable)
    assert list(reasons) == ["cut.jpg", "empty.jpg", "text.png", "link.png", "folder.png"]
    assert "truncated" in reasons["cut.jpg"]
    assert reasons["empty.jpg"] == reasons["text.png"] == "not an image of a known format"
    assert reasons["link.png"] == "No such file or directory"
    assert reasons["folder.png"] == "Is a directory"


def test_a_decompression_bomb_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    saved(tmp_path / "a.png", noise())
    (chunk,) = decode_files(tmp_path, ["a.png"], 8)
    assert chunk.paths == []
    assert "decompression bomb" in chunk.unreadable[0][1]


def test_warnings_of_the_decoder_stay_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # 64 pixels: a warning, but no error
    saved(tmp_path / "a.png", noise())
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        (chunk,) = decode_files(tmp_path, ["a.png"], 8)
    assert chunk.paths == ["a.png"]
    assert seen == []
