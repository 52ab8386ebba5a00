"""Disks that are full or must not be written to: one clear line, nothing damaged, and the run goes on later."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import nas.plotting.run
import nas.run.results
from nas.dataset import image_cache
from nas.errors import DiskError
from nas.pool.array_folder import locked, read_facts, write_arrays
from nas.training import checkpoint
from tests.quick_search import WORDS, write_predictor
from tests.test_loop import contents

ROOT = Path(__file__).parent.parent
SMALL = {"n_doe": 13, "n_iter": 2, "iterations": 2}


class Disk:
    """Lets so many bytes be written to files; what is written beyond that is cut off and fails."""

    def __init__(self, room: int, code: int = errno.ENOSPC) -> None:
        self.room = room
        self.code = code
        self.written = 0

    def write(self, file, data):
        data = memoryview(data).cast("B")
        fits = min(len(data), self.room - self.written)
        file.write(data[:fits])
        self.written += fits
        if fits < len(data):
            raise OSError(self.code, os.strerror(self.code))
        return fits


class File:
    """A file on a disk."""

    def __init__(self, file, disk):
        self._file = file
        self._disk = disk

    def write(self, data):
        return self._disk.write(self._file, data)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        self._file.__enter__()
        return self

    def __exit__(self, *error):
        return self._file.__exit__(*error)


@pytest.fixture
def with_room(monkeypatch):
    """Give the disk so much room; ``None`` for as much as there is."""
    opened = Path.open

    def limit(room: int | None, code: int = errno.ENOSPC) -> Disk:
        disk = Disk(10**9 if room is None else room, code)

        def open_(path, mode="r", *arguments, **keywords):
            file = opened(path, mode, *arguments, **keywords)
            return File(file, disk) if "b" in mode and set(mode) & set("wx+a") else file

        monkeypatch.setattr(Path, "open", open_)
        return disk

    return limit


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr(nas.plotting.run, "front_figure", lambda *_, **__: None)
    monkeypatch.setattr(nas.plotting.run, "hypervolume_figure", lambda *_, **__: None)


@pytest.mark.slow
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_wherever_the_disk_is_full_the_run_goes_on_later(make_search, tmp_path, no_pictures, with_room, code):
    disk = with_room(None)
    make_search(tmp_path / "whole", **SMALL)[0].run(retry_failed=False)
    expected, total = contents(tmp_path / "whole"), disk.written
    for number, room in enumerate(np.linspace(0, total - 500, 60 if code == errno.ENOSPC else 5).astype(int)):
        folder = tmp_path / str(number)
        with_room(int(room), code)
        with pytest.raises(DiskError) as stop:
            make_search(folder, **SMALL)[0].run(retry_failed=False)
        assert str(folder) in str(stop.value)
        assert os.strerror(code) in str(stop.value)
        assert len(str(stop.value).splitlines()) == 1
        assert not list(folder.rglob("*.tmp"))
        with_room(None)
        make_search(folder, **SMALL)[0].run(retry_failed=False)
        assert contents(folder) == expected


def test_half_a_step_leaves_the_archive_as_it_was(make_search, tmp_path, no_pictures, with_room):
    search, archive = make_search(tmp_path, **SMALL)
    search.run(retry_failed=False)
    before = archive.path.read_bytes()
    with_room(100)
    with pytest.raises(DiskError, match=r"archive.jsonl cannot be written \(No space left on device\); make room"):
        archive.extend(archive.commits[-1], archive.history[-2:])
    assert archive.path.read_bytes() == before


def test_a_figure_that_cannot_be_drawn_ends_no_search(make_search, tmp_path, monkeypatch, caplog):
    def fails(*_, **__):
        raise RuntimeError("no such font")

    monkeypatch.setattr(nas.plotting.run, "front_figure", fails)
    make_search(tmp_path, **SMALL)[0].run(retry_failed=False)
    said = [record.message for record in caplog.records if record.name == "nas.run.results"]
    assert said == ["the figures cannot be drawn (RuntimeError: no such font); the run goes on"]
    assert (tmp_path / "front.json").exists()


def test_weights_that_do_not_fit_leave_the_old_ones(tmp_path, with_room):
    path = tmp_path / "final.pt"
    checkpoint.save(path, {"weights": torch.zeros(3)})
    for room in (0, 100, 50_000):
        with_room(room)
        with pytest.raises(DiskError, match=r"final.pt cannot be written \(No space left on device\)"):
            checkpoint.save(path, {"weights": torch.ones(30_000)})
    assert [file.name for file in tmp_path.iterdir()] == ["final.pt"]
    kept = checkpoint.load(path)
    assert kept is not None
    assert kept["weights"].tolist() == [0, 0, 0]


def test_stored_outputs_that_do_not_fit_do_not_count(tmp_path, with_room):
    arrays = {"a": np.zeros(1000), "b": np.zeros(1000)}
    for room in (0, 5000, 12_000, 16_300):
        with_room(room)
        with locked(tmp_path / "x"), pytest.raises(DiskError, match="cannot be written"):
            write_arrays(tmp_path / "x", arrays, {})
        assert read_facts(tmp_path / "x", thorough=True) is None
        assert not list(tmp_path.rglob("*.tmp"))


def test_images_that_do_not_fit_leave_no_cache(tmp_path, with_room):
    from PIL import Image

    for i in range(4):
        Image.new("RGB", (9, 9), (i, 0, 0)).save(tmp_path / f"{i}.png")
    names = [f"{i}.png" for i in range(4)]
    for room in (0, 200, 600, 1100):
        with_room(room)
        with pytest.raises(DiskError, match="cannot be written"):
            image_cache.decoded_images(tmp_path, names, 8, "refuse", tmp_path / "cache")
        assert not list((tmp_path / "cache").rglob("*.npy")) if (tmp_path / "cache").exists() else True
    with_room(None)
    found = image_cache.decoded_images(tmp_path, names, 8, "refuse", tmp_path / "cache")
    assert image_cache.open_pixels(found.folder).shape == (4, 3, 8, 8)


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of 1 MB, where that is allowed."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def launched(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "launch.py"), *WORDS, f"paths.cache={folder / 'cache'}", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.long
def test_a_run_on_a_small_disk(tmp_path, small_disk):
    write_predictor(tmp_path / "predictor.pth")
    whole = launched(tmp_path, "paths.run=whole")
    assert whole.returncode == 0, whole.stderr
    expected = (tmp_path / "whole" / "archive.jsonl").read_bytes()
    for free in (0, 40, 100):  # KiB: of a whole run's about 300
        run, filler = small_disk / f"run_{free}", small_disk / "filler"
        with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        os.truncate(filler, max(filler.stat().st_size - 1024 * free, 0))
        full = launched(tmp_path, f"paths.run={run}")
        assert full.returncode in {1, 2}, full.stdout
        *warnings, error = full.stderr.splitlines()
        assert all("the figures cannot be drawn" in line for line in warnings)
        assert error.startswith("error: ")
        assert "No space left on device" in error
        assert str(small_disk) in error
        filler.unlink()
        again = launched(tmp_path, f"paths.run={run}")
        assert again.returncode == 0, again.stderr
        assert (run / "archive.jsonl").read_bytes() == expected
        assert not list(run.rglob("*.tmp"))
        subprocess.run(["rm", "-rf", str(run)], check=True)


@pytest.mark.slow
@pytest.mark.long
def test_a_run_on_a_disk_that_must_not_be_written_to(tmp_path, small_disk):
    write_predictor(tmp_path / "predictor.pth")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for run in (small_disk / "run", small_disk):
        refused = launched(tmp_path, f"paths.run={run}")
        assert refused.returncode == 2
        assert len(refused.stderr.splitlines()) == 1
        assert "cannot be written" in refused.stderr
        assert str(small_disk) in refused.stderr
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert launched(tmp_path, f"paths.run={small_disk / 'run'}").returncode == 0
