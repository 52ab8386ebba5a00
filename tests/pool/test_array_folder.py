import logging
from pathlib import Path

import numpy as np
import pytest

from nas.errors import DiskError
from nas.pool.array_folder import Stream, locked, open_array, read_facts, write_arrays

FACTS = {"costs": {"flops": 1.5}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "outputs" / "key"
    values = np.arange(12, dtype=np.float16).reshape(4, 3)
    with locked(place):
        parts = Stream((4, 3), np.float16, (values[i : i + 3] for i in (0, 3)))
        write_arrays(place, {"whole": values, "parts": parts, "none": values[:0]}, FACTS)
    return place


def test_arrays_come_back_as_they_were(folder):
    values = np.arange(12, dtype=np.float16).reshape(4, 3)
    facts = read_facts(folder, thorough=True)
    assert facts is not None
    assert facts["costs"] == FACTS["costs"]
    assert facts["digests"]["whole"] == facts["digests"]["parts"]
    for name in ("whole", "parts"):
        array = open_array(folder, name)
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable
        np.testing.assert_array_equal(array, values)
    assert open_array(folder, "none").shape == (0, 3)


def test_an_absent_folder_is_no_damage(tmp_path, caplog):
    assert read_facts(tmp_path / "nothing", thorough=True) is None
    assert not caplog.records


@pytest.mark.parametrize("thorough", [False, True])
def test_a_truncated_file_is_named(folder, caplog, thorough):
    path = folder / "parts.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        assert read_facts(folder, thorough=thorough) is None
    assert f"{path} is damaged" in caplog.text


def test_an_altered_file_is_named(folder, caplog):
    path = folder / "whole.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert read_facts(folder, thorough=False) is not None
    with caplog.at_level(logging.WARNING):
        assert read_facts(folder, thorough=True) is None
    assert f"{path} is damaged" in caplog.text


def test_a_missing_file_is_named(folder, caplog):
    (folder / "whole.npy").unlink()
    assert read_facts(folder, thorough=False) is None
    assert "whole.npy is damaged" in caplog.text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"facts": {}, "files": {}, "sha256": "0"}'])
def test_a_damaged_record_is_named(folder, caplog, text):
    (folder / "record.json").write_text(text)
    assert read_facts(folder, thorough=False) is None
    assert "record.json is damaged" in caplog.text


def test_an_altered_fact_is_damage(folder, caplog):
    path = folder / "record.json"
    path.write_text(path.read_text().replace("1.5", "1.4"))
    assert read_facts(folder, thorough=False) is None
    assert "record.json is damaged" in caplog.text


def test_a_write_that_fails_leaves_nothing_that_counts(folder):
    def broken():
        yield np.zeros((1, 3), np.float16)
        raise OSError("no space left")

    with locked(folder), pytest.raises(DiskError, match="no space"):
        write_arrays(folder, {"whole": Stream((4, 3), np.float16, broken())}, FACTS)
    assert read_facts(folder, thorough=False) is None
    assert not list(folder.glob(".*.tmp"))


def test_what_a_killed_process_left_is_removed(folder):
    (folder / ".whole.npy.0123abcd.tmp").write_bytes(b"half")
    with locked(folder):
        write_arrays(folder, {"whole": np.zeros(2)}, FACTS)
    assert not list(folder.glob(".*.tmp"))
    assert read_facts(folder, thorough=True) is not None
