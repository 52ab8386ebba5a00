"""A cache that cannot be written or locked: one line that names its setting, before any work."""

import errno
import fcntl
import os
import tempfile

import pytest

from nas.cache import check_cache, in_cache, locked
from nas.errors import DiskError, UserError

ADVICE = "name another folder by paths.cache=FOLDER or the environment variable NAS_CACHE"


def failing(code: int):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    return fail


def test_a_cache_that_can_be_used_is_left_as_it_was(tmp_path):
    check_cache(tmp_path / "not" / "there")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_a_cache_that_cannot_be_written_is_refused(tmp_path, monkeypatch, code):
    monkeypatch.setattr(tempfile, "TemporaryFile", failing(code))
    with pytest.raises(UserError) as stop:
        check_cache(tmp_path / "cache")
    assert str(stop.value) == f"the cache cannot be used: {tmp_path / 'cache'}: {os.strerror(code)}; {ADVICE}"


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP])
def test_a_cache_without_locks_is_refused(tmp_path, monkeypatch, code):
    monkeypatch.setattr(fcntl, "flock", failing(code))
    with pytest.raises(UserError, match=ADVICE):
        check_cache(tmp_path)
    with pytest.raises(UserError, match=ADVICE), locked(tmp_path / "x.lock"):
        pass


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(UserError, match=f"Not a directory; {ADVICE}"):
        check_cache(tmp_path / "cache" / "here")
    with pytest.raises(UserError, match=ADVICE), locked(tmp_path / "cache" / "supernets" / "x.lock"):
        pass


def test_who_waits_is_told(tmp_path):
    said = []
    with locked(tmp_path / "x.lock"):
        other = tmp_path / "x.lock"
        descriptor = os.open(other, os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
    descriptor = os.open(tmp_path / "x.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    def waits() -> None:
        said.append("waiting")
        os.close(descriptor)

    with locked(tmp_path / "x.lock", waits):
        assert said == ["waiting"]


def test_a_disk_that_fills_up_names_the_setting_too():
    with pytest.raises(DiskError, match=f"w.pt cannot be written; or {ADVICE}"), in_cache():
        raise DiskError("w.pt cannot be written")
