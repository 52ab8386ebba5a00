from pathlib import Path

import pytest

from nas.errors import DiskError, UserError
from nas.files import expanded, read_json, write_atomic, write_json, write_text


def test_writes_and_makes_folders(tmp_path):
    write_json(tmp_path / "a" / "b.json", {"x": 1})
    assert read_json(tmp_path / "a" / "b.json") == {"x": 1}


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "a.txt", "old")

    def fail(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(DiskError, match="disk full"):
        write_atomic(tmp_path / "a.txt", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_not_a_number_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})


def test_a_home_folder_that_does_not_exist_is_named_with_its_setting(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/x", "dataset.path") == Path("/home/me/x")
    message = "dataset.path=~nouser/x: there is no home folder for '~nouser'; write the whole path without '~nouser'"
    with pytest.raises(UserError, match=message):
        expanded("~nouser/x", "dataset.path")
