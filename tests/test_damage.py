"""Files that are cut short or have a flipped bit: noticed, named, and never used; what was good before them is."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nas.plotting.run
from nas.dataset import image_cache
from nas.errors import ArchiveError, UserError
from nas.files import read_sealed
from nas.pool.array_folder import RECORD, locked, read_facts, write_arrays
from nas.run.archive import Archive
from nas.run.folder import RunFolder
from nas.run.results import Results
from nas.training import checkpoint
from nas.training.snapshots import Snapshots
from tests.test_loop import contents

SMALL = {"n_doe": 13, "n_iter": 2, "iterations": 2}
PLACES = [0.0, 0.03, 0.2, 0.45, 0.7, 0.9, 0.99, 1.0]
SETTINGS = {"seed": 3, "supernet": {"_target_": "nas.supernet.tiny.Tiny", "widths": [0.5, 1.0]}, "tracker": {"x": 1}}


def flip(path: Path, place: float, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[round(place * (len(data) - 1))] ^= 1 << bit
    path.write_bytes(data)


def cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: round(share * (len(data) - 2))])


DAMAGES = [(flip, place, f"flipped-{place}") for place in PLACES] + [(cut, s, f"cut-{s}") for s in PLACES]
damages = pytest.mark.parametrize(("damage", "place"), [d[:2] for d in DAMAGES], ids=[d[2] for d in DAMAGES])


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr(nas.plotting.run, "front_figure", lambda *_, **__: None)
    monkeypatch.setattr(nas.plotting.run, "hypervolume_figure", lambda *_, **__: None)


@pytest.fixture
def finished(make_search, tmp_path):
    """A run, and what its folder holds."""
    folder = tmp_path / "run"
    make_search(folder, **SMALL)[0].run(retry_failed=False)
    return folder, contents(folder)


def go_on(make_search, folder: Path) -> None:
    make_search(folder, **SMALL)[0].run(retry_failed=False)


@damages
def test_archive(make_search, finished, caplog, damage, place):
    folder, expected = finished
    path = folder / "archive.jsonl"
    whole = path.read_bytes()
    damage(path, place)
    damaged = path.read_bytes()
    if damage is flip and place == 0.0:
        with pytest.raises(ArchiveError, match=r"archive\.jsonl: line 1 is damaged"):
            Archive.reopen(path)
    with caplog.at_level(logging.WARNING):
        go_on(make_search, folder)
    assert path.read_bytes() == whole
    kept = folder / "archive.jsonl.damaged"
    if kept.exists():
        assert kept.read_bytes() == damaged
        assert any("archive.jsonl: " in r.message and "goes on after step" in r.message for r in caplog.records)
        kept.unlink()
    else:  # only what a killed process leaves is dropped without a word: an end that is no whole line
        assert not damaged.endswith(b"\n") or whole.startswith(damaged)
    assert contents(folder) == expected


def test_a_bit_anywhere_in_the_archive_is_noticed_or_changes_nothing(make_search, finished, space):
    folder, _ = finished
    path = folder / "archive.jsonl"
    whole = path.read_bytes()
    good = Archive.reopen(path)
    for position in range(0, len(whole), 23):
        data = bytearray(whole)
        data[position] ^= 1 << position % 8
        path.write_bytes(data)
        archive = Archive(path, good.measures, good.gene_names)
        try:
            archive._read(bytes(data))
        except Exception as error:
            assert str(path) in str(error)
        assert archive.history == good.history[: len(archive.history)]
        assert archive.commits == good.commits[: len(archive.commits)]


@damages
def test_evaluations_of_a_torn_step(make_search, tmp_path, finished, caplog, damage, place):
    folder, expected = finished
    lines = (folder / "archive.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "archive.jsonl").write_bytes(b"".join(lines[:-3]))  # without the last step
    path = folder / "iter_2" / "net_0.stats"
    measured = read_sealed(path)
    damage(path, place)
    with caplog.at_level(logging.WARNING):
        go_on(make_search, folder)
    if not any(f"{path} is damaged" in record.message for record in caplog.records):
        assert read_sealed(path) == measured  # the seventeenth digit of a number, for example
        expected.pop("iter_2/net_0.stats")
        path.unlink()
    assert contents(folder) == expected


@damages
def test_front_and_times(make_search, finished, caplog, damage, place):
    folder, expected = finished
    for name in ("front.json", "times.jsonl"):
        damage(folder / name, place)
    before, archive = (folder / "front.json").read_bytes(), Archive.reopen(folder / "archive.jsonl")
    with pytest.raises(ValueError, match=r"front\.json is damaged"):
        RunFolder(folder).front()
    with caplog.at_level(logging.WARNING):
        seconds = [Results(archive, folder, None).summary(step).seconds for step in range(3)]
    complete = all(seconds)
    assert complete or damage is cut or any("times.jsonl is damaged" in r.message for r in caplog.records)
    assert (folder / "front.json").read_bytes() == before
    go_on(make_search, folder)
    assert contents(folder) == expected


@damages
def test_settings(tmp_path, caplog, damage, place):
    folder = RunFolder(tmp_path / "run")
    folder.begin(SETTINGS, {})
    text = (tmp_path / "run" / "config.yaml").read_text()
    damage(tmp_path / "run" / "config.yaml", place)
    try:
        read = folder.settings()
    except ValueError as error:
        assert "config.yaml is damaged" in str(error)
        with pytest.raises(UserError, match=r"config\.yaml is damaged; use another|holds a run with other settings"):
            folder.check_settings(SETTINGS | {"seed": 4})
        folder.check_settings(SETTINGS)  # the command line says what they were
        folder.begin(SETTINGS, {})
        assert (tmp_path / "run" / "config.yaml").read_text() == text
        assert any("config.yaml is damaged; it is written anew" in record.message for record in caplog.records)
    else:  # in what may change at any time
        assert {key: read[key] for key in ("seed", "supernet")} == {key: SETTINGS[key] for key in ("seed", "supernet")}


@damages
def test_identity(tmp_path, caplog, damage, place):
    folder = RunFolder(tmp_path / "run")
    identity = folder.begin(SETTINGS, {"dataset": "1"})
    damage(tmp_path / "run" / "run.json", place)
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        folder.identity()
    again = folder.begin(SETTINGS, {"dataset": "1"})
    assert any("run.json is damaged" in record.message for record in caplog.records)
    assert again != identity
    assert folder.identity()["id"] == again


@damages
def test_status(tmp_path, damage, place):
    folder = RunFolder(tmp_path)
    folder.write_status("running", step=3)
    damage(tmp_path / "status.json", place)
    assert not folder.is_finished()


@damages
def test_weights(tmp_path, caplog, damage, place):
    snapshots = Snapshots(tmp_path / "weights", None)
    genomes = np.arange(6).reshape(2, 3)
    content = {"state": {"weights": {"a": torch.arange(500.0)}}}
    for step in (1, 2):
        snapshots.save(step, genomes, content)
    snapshots.wait_until_saved()
    snapshots.save_part(3, genomes, content)
    snapshots.save_final(content["state"]["weights"])
    checkpoint.save(tmp_path / "supernet.pt", content)
    files = [tmp_path / "weights" / name for name in ("iter_2.pt", "part.pt", "final.pt")] + [tmp_path / "supernet.pt"]
    for path in files:
        damage(path, place)
    found = (
        snapshots.load(2, genomes),
        snapshots.load_part(3, genomes),
        snapshots.load_final(),
        checkpoint.load(files[3]),
    )
    good = (content, content, content["state"]["weights"], content)
    for path, read, written in zip(files, found, good, strict=True):
        if read is None:
            assert any(f"{path} is damaged" in record.message for record in caplog.records)
        else:  # a bit of the file's own structure that nothing depends on
            assert damage is flip
            assert str(read) == str(written)
    assert snapshots.load(1, genomes) is not None


@damages
@pytest.mark.parametrize("name", ["a.npy", "b.npy", RECORD])
def test_stored_outputs(tmp_path, caplog, damage, place, name):
    arrays = {"a": np.arange(300.0), "b": np.arange(40)}
    with locked(tmp_path):
        write_arrays(tmp_path, arrays, {"costs": {"flops": 1.5}})
    damage(tmp_path / name, place)
    assert read_facts(tmp_path, thorough=True) is None
    assert any(f"{tmp_path / name} is damaged" in record.message for record in caplog.records)


@damages
@pytest.mark.parametrize("name", ["pixels.npy", "sums.npy", "index.json"])
def test_decoded_images(tmp_path, caplog, damage, place, name):
    rng = np.random.default_rng(0)
    names = [f"{i}.png" for i in range(5)]
    for path in names:
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(tmp_path / path)

    def decoded() -> image_cache.Decoded:
        return image_cache.decoded_images(tmp_path, names, 8, "refuse", tmp_path / "cache")

    first = decoded()
    decoded()
    whole = {path.name: path.read_bytes() for path in first.folder.iterdir() if path.name != image_cache.COMPARED}
    damage(first.folder / name, place)
    damaged = (first.folder / name).read_bytes()
    with caplog.at_level(logging.WARNING):
        again = decoded()
    after = {path.name: path.read_bytes() for path in again.folder.iterdir() if path.name != image_cache.COMPARED}
    if any("are damaged: decoding again" in record.message for record in caplog.records):
        assert after == whole
    else:  # a blank in a header, for example
        assert damaged == after[name]
    np.testing.assert_array_equal(image_cache.open_pixels(again.folder), np.load(io_of(whole["pixels.npy"])))


def io_of(data: bytes):
    import io

    return io.BytesIO(data)


def test_pixels_are_compared_once_and_again_when_the_file_was_touched(tmp_path, monkeypatch):
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    compared = []
    opened = image_cache.open_pixels

    def watched(folder):
        compared.append(folder)
        return opened(folder)

    def decoded():
        return image_cache.decoded_images(tmp_path, ["0.png"], 8, "refuse", tmp_path / "cache")

    folder = decoded().folder
    decoded()
    monkeypatch.setattr(image_cache, "open_pixels", watched)
    decoded()
    assert len(compared) == 1  # for its shape alone
    (folder / "pixels.npy").touch()
    decoded()
    assert len(compared) == 3
    shutil.rmtree(folder)


def test_older_files_without_checksums_are_read(tmp_path):
    (tmp_path / "front.json").write_text(json.dumps({"step": 1}))
    assert RunFolder(tmp_path).front() == {"step": 1}
