import logging

import numpy as np
import pytest
import torch

from nas.training import checkpoint
from nas.training.snapshots import Snapshots


def genomes(step):
    return np.full((2, 3), step, dtype=np.int64)


def content(step):
    return {"state": {"weights": {"w": torch.full((2,), float(step))}}, "n_averaged": step}


def save(snapshots, steps):
    for step in steps:
        snapshots.save(step, genomes(step), content(step))
    snapshots.wait_until_saved()


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_last_two_stay(tmp_path):
    snapshots = Snapshots(tmp_path, None)
    save(snapshots, range(5))
    assert files(tmp_path) == ["iter_3.pt", "iter_4.pt"]
    assert snapshots.load(4, genomes(4))["state"]["weights"]["w"].tolist() == [4.0, 4.0]
    assert snapshots.load(2, genomes(2)) is None


def test_every_so_many_stay_too(tmp_path):
    save(Snapshots(tmp_path, 2), range(6))
    assert files(tmp_path) == ["iter_1.pt", "iter_3.pt", "iter_4.pt", "iter_5.pt"]


def test_a_file_of_other_genomes_is_not_used(tmp_path):
    snapshots = Snapshots(tmp_path, None)
    save(snapshots, [0])
    assert snapshots.load(0, genomes(1)) is None
    assert snapshots.load(0, genomes(0)) is not None


def test_a_damaged_file_is_named_and_not_used(tmp_path, caplog):
    snapshots = Snapshots(tmp_path, None)
    save(snapshots, [0, 1])
    path = tmp_path / "iter_1.pt"
    data = bytearray(path.read_bytes())
    place = data.index(np.full(2, 1.0, dtype=np.float32).tobytes())
    data[place] ^= 1
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert snapshots.load(1, genomes(1)) is None
    assert "iter_1.pt is damaged" in caplog.text
    assert snapshots.load(0, genomes(0)) is not None


def test_parts_belong_to_their_step_and_go_with_it(tmp_path):
    snapshots = Snapshots(tmp_path, None)
    snapshots.save_part(3, genomes(3), content(3))
    assert snapshots.load_part(3, genomes(3)) is not None
    assert snapshots.load_part(3, genomes(2)) is None
    assert snapshots.load_part(2, genomes(3)) is None
    save(snapshots, [3])
    assert snapshots.load_part(3, genomes(3)) is None


def test_errors_while_writing_are_raised(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    snapshots = Snapshots(tmp_path, None)
    snapshots.save(0, genomes(0), content(0))
    with pytest.raises(OSError, match="No space left"):
        snapshots.wait_until_saved()


def test_final_weights(tmp_path):
    snapshots = Snapshots(tmp_path, None)
    assert snapshots.load_final() is None
    snapshots.save_final({"w": torch.ones(2)})
    assert snapshots.load_final()["w"].tolist() == [1.0, 1.0]
    snapshots.final_path.write_bytes(snapshots.final_path.read_bytes()[:-20])
    assert snapshots.load_final() is None
