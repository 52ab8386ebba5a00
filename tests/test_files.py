import errno
import os
from pathlib import Path

import pytest

from nas.errors import DiskError, UserError
from nas.files import expanded, link, read_json, write_atomic, write_json, write_text


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


@pytest.mark.parametrize("links", [True, False])
def test_a_file_at_a_second_place_outlives_the_first(tmp_path, monkeypatch, links):
    def refused(*_: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    if not links:
        monkeypatch.setattr(os, "link", refused)
    first, second = tmp_path / "first", tmp_path / "run/weights/second"
    first.write_bytes(b"weights")
    for _ in range(2):  # the second time nothing changes
        link(first, second)
        assert [path.name for path in second.parent.iterdir()] == ["second"]
    assert (first.stat().st_ino == second.stat().st_ino) == links
    first.unlink()
    assert second.read_bytes() == b"weights"


def test_a_home_folder_that_does_not_exist_is_named_with_its_setting(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/x", "dataset.path") == Path("/home/me/x")
    message = "dataset.path=~nouser/x: there is no home folder for '~nouser'; write the whole path without '~nouser'"
    with pytest.raises(UserError, match=message):
        expanded("~nouser/x", "dataset.path")
