import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from nas.dataset import decoding, image_cache
from nas.dataset.decoding import Chunk
from nas.dataset.image_cache import Decoded, decoded_images, open_pixels
from nas.errors import UserError

FILES = ("index.json", "pixels.npy", "sums.npy")
PATHS = [f"c{i % 2}/{i}.png" for i in range(10)]


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    for i, path in enumerate(PATHS):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        picture(i).save(root / path)
    return root


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "cache"


@pytest.fixture
def decoded_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were decoded, in no particular order."""
    seen: list[str] = []
    whole = decoding.decode_image

    def spy(path: Path, size: int) -> tuple[decoding.Pixels, bool]:
        seen.append(path.name)
        return whole(path, size)

    monkeypatch.setattr(decoding, "decode_image", spy)
    return seen


def everything_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def check(decoded: Decoded, of: list[int]) -> None:
    """Assert that the images are pictures ``of`` these seeds."""
    pixels = open_pixels(decoded.folder)
    expected = np.stack([np.asarray(picture(seed)).transpose(2, 0, 1) for seed in of])
    assert np.array_equal(pixels, expected)
    assert decoded.index.paths == [PATHS[seed] for seed in of]
    assert np.array_equal(decoded.sums[:, 0], expected.astype(int).sum(axis=(2, 3)))


def test_images_are_decoded_once(root: Path, cache: Path, decoded_files: list[str]) -> None:
    first = decoded_images(root, PATHS, 8, "refuse", cache)
    check(first, list(range(10)))
    assert sorted(decoded_files) == sorted(path.split("/")[1] for path in PATHS)
    again = decoded_images(root, PATHS, 8, "refuse", cache)
    check(again, list(range(10)))
    assert again.index == first.index
    assert len(decoded_files) == 10


def test_images_are_mapped_into_memory_and_writing_to_them_does_not_change_the_cache(root: Path, cache: Path) -> None:
    decoded = decoded_images(root, PATHS, 8, "refuse", cache)
    pixels = open_pixels(decoded.folder)
    assert isinstance(pixels, np.memmap)
    pixels[:] = 0
    check(decoded, list(range(10)))


def test_another_size_time_or_side_is_decoded_again(root: Path, cache: Path) -> None:
    folders = [decoded_images(root, PATHS, 8, "refuse", cache).folder]
    folders.append(decoded_images(root, PATHS, 4, "refuse", cache).folder)
    folders.append(decoded_images(root, PATHS[:9], 8, "refuse", cache).folder)
    os.utime(root / PATHS[3], ns=(1, 1))
    folders.append(decoded_images(root, PATHS, 8, "refuse", cache).folder)
    assert len(set(folders)) == 4


def test_the_place_of_the_folder_does_not_matter(
    root: Path, cache: Path, tmp_path: Path, decoded_files: list[str]
) -> None:
    decoded_images(root, PATHS, 8, "refuse", cache)
    check(decoded_images(root.rename(tmp_path / "moved"), PATHS, 8, "refuse", cache), list(range(10)))
    assert len(decoded_files) == 10


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("pixels.npy", lambda data: data[:-1]),
        ("pixels.npy", lambda data: data.replace(b"(10, 3, 8, 8)", b"(10, 3, 8, 4)")),
        ("sums.npy", lambda data: data[:-1] + b"\1"),
        ("index.json", lambda data: data.replace(b"c0/4.png", b"c0/6.png")),
        ("index.json", lambda data: data.replace(b'"size": 8', b'"side": 8')),
        *((name, lambda data: data[: len(data) // 2]) for name in FILES),
        *((name, lambda data: b"") for name in FILES),
        *((name, lambda data: None) for name in FILES),
    ],
)
def test_a_damaged_cache_is_decoded_again(
    root: Path,
    cache: Path,
    decoded_files: list[str],
    caplog: pytest.LogCaptureFixture,
    name: str,
    damage: Callable[[bytes], bytes | None],
) -> None:
    file = decoded_images(root, PATHS, 8, "refuse", cache).folder / name
    whole = file.read_bytes()
    damaged = damage(whole)
    assert damaged != whole
    file.unlink()
    if damaged is not None:
        file.write_bytes(damaged)
    decoded = decoded_images(root, PATHS, 8, "refuse", cache)
    check(decoded, list(range(10)))
    assert len(decoded_files) == 20
    assert [record.levelname for record in caplog.records if "damaged" in record.message] == ["WARNING"]
    decoded_images(root, PATHS, 8, "refuse", cache)
    assert len(decoded_files) == 20


@pytest.mark.parametrize("text", ["[]", "{}", '{"checksum": "", "index": {"size": 8}}', "null"])
def test_an_index_of_another_form_counts_as_damaged(root: Path, cache: Path, text: str) -> None:
    folder = decoded_images(root, PATHS, 8, "refuse", cache).folder
    (folder / "index.json").write_text(text)
    check(decoded_images(root, PATHS, 8, "refuse", cache), list(range(10)))


def test_several_frames_are_said_once(root: Path, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    for i in (2, 5):
        picture(i).save(root / PATHS[i], save_all=True, append_images=[picture(i + 1)])
    for _ in range(2):
        check(decoded_images(root, PATHS, 8, "refuse", cache), list(range(10)))
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"2 of 10 images have several frames, first: {root / PATHS[2]}; of each the first frame is used"
    ]


def test_unreadable_images_are_refused_and_leave_nothing(root: Path, cache: Path) -> None:
    for i in (2, 5, 7):
        (root / PATHS[i]).write_bytes(b"")
    before = everything_below(cache.parent.parent)
    with pytest.raises(UserError) as caught:
        decoded_images(root, PATHS, 8, "refuse", cache)
    assert str(caught.value) == (
        f"3 of 10 images cannot be read, first: {root / PATHS[2]} (not an image of a known format); "
        "repair or remove them, or set dataset.corrupt=skip"
    )
    assert everything_below(cache.parent.parent) == before


def test_unreadable_images_are_skipped_with_a_warning_every_time(
    root: Path, cache: Path, caplog: pytest.LogCaptureFixture, decoded_files: list[str]
) -> None:
    for i in (2, 5, 7):
        (root / PATHS[i]).write_bytes(b"")
    for _ in range(2):
        caplog.clear()
        decoded = decoded_images(root, PATHS, 8, "skip", cache)
        check(decoded, [0, 1, 3, 4, 6, 8, 9])
        assert [path for path, _ in decoded.index.unreadable] == [PATHS[2], PATHS[5], PATHS[7]]
        warned = [record.message for record in caplog.records if record.levelno == logging.WARNING]
        assert len(warned) == 1
        assert warned[0].startswith(f"3 of 10 images cannot be read, first: {root / PATHS[2]}")
    assert len(decoded_files) == 10
    with pytest.raises(UserError, match="3 of 10 images cannot be read"):
        decoded_images(root, PATHS, 8, "refuse", cache)


def test_images_without_the_unreadable_ones_have_the_same_digest(root: Path, cache: Path) -> None:
    (root / PATHS[2]).write_bytes(b"")
    skipped = decoded_images(root, PATHS, 8, "skip", cache)
    without = decoded_images(root, [path for path in PATHS if path != PATHS[2]], 8, "skip", cache)
    assert skipped.index.pixels_digest == without.index.pixels_digest


def test_nothing_readable_at_all_is_an_empty_array(root: Path, cache: Path) -> None:
    for path in PATHS:
        (root / path).write_bytes(b"")
    for _ in range(2):
        decoded = decoded_images(root, PATHS, 8, "skip", cache)
        assert open_pixels(decoded.folder).shape == (0, 3, 8, 8)
        assert len(decoded.index.unreadable) == 10


def test_an_interrupt_leaves_nothing(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(sums: np.ndarray) -> None:
        raise KeyboardInterrupt

    before = everything_below(cache.parent.parent)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(image_cache, "channel_sums", interrupted)
        decoded_images(root, PATHS, 8, "refuse", cache)
    assert everything_below(cache.parent.parent) == before
    check(decoded_images(root, PATHS, 8, "refuse", cache), list(range(10)))


def test_what_a_killed_process_left_is_removed(root: Path, cache: Path) -> None:
    key = decoded_images(root, PATHS, 8, "refuse", cache).folder
    key.rename(key.with_name(f".{key.name}.12345678"))
    (key.with_name(f".{key.name}.12345678") / "index.json").unlink()
    check(decoded_images(root, PATHS, 8, "refuse", cache), list(range(10)))
    assert everything_below(cache / "images") == sorted(
        [key.name, f"{key.name}.lock", *(f"{key.name}/{name}" for name in FILES)]
    )


def test_a_second_process_waits_and_takes_what_the_first_decoded(
    root: Path, cache: Path, decoded_files: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = decoded_images(root, PATHS, 8, "refuse", cache).folder
    aside = folder.rename(folder.with_name("aside"))
    results: list[Decoded] = []
    with FileLock(folder.with_suffix(".lock")):
        waiting = threading.Thread(
            target=lambda: results.append(decoded_images(root, PATHS, 8, "refuse", cache)), daemon=True
        )
        waiting.start()
        while not any("another process" in record.message for record in caplog.records):
            waiting.join(0.01)
            assert waiting.is_alive()
        aside.rename(folder)
    waiting.join(20)
    check(results[0], list(range(10)))
    assert len(decoded_files) == 10


def test_processes_that_start_together_agree(root: Path, cache: Path) -> None:
    program = (
        "import sys, json; from pathlib import Path; from nas.dataset.image_cache import decoded_images\n"
        f"decoded = decoded_images(Path({str(root)!r}), {PATHS!r}, 8, 'refuse', Path({str(cache)!r}))\n"
        "print(json.dumps([str(decoded.folder), decoded.index.pixels_digest]))"
    )
    started = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [json.loads(process.communicate()[0]) for process in started]
    decoded = decoded_images(root, PATHS, 8, "refuse", cache)
    assert answers == [[str(decoded.folder), decoded.index.pixels_digest]] * 3


def test_more_images_than_a_chunk_are_all_in_place(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "CHUNK", 3)
    (root / PATHS[4]).write_bytes(b"")
    check(decoded_images(root, PATHS, 8, "skip", cache), [0, 1, 2, 3, 5, 6, 7, 8, 9])


def test_a_chunk_without_a_readable_image_is_no_problem() -> None:
    chunk = Chunk(paths=[], images=np.empty((0, 3, 8, 8), np.uint8), unreadable=[("a", "b")], animated=[])
    assert image_cache.channel_sums(chunk.images).shape == (0, 2, 3)
