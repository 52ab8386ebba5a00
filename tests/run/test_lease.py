import errno
import fcntl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas.errors import InUseError
from nas.run.lease import holder, lease

HOLD = (
    "import sys; from pathlib import Path; from nas.run.lease import lease\n"
    "with lease(Path(sys.argv[1])):\n"
    "    print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def other(tmp_path):
    """Another process that holds the folder."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_holder_is_named_and_nothing_of_it_is_left_when_it_is_killed(tmp_path, other):
    assert holder(tmp_path).startswith(f"process {other.pid} on ")
    with pytest.raises(InUseError, match=f"in use by process {other.pid} on "), lease(tmp_path):
        pass
    other.kill()
    other.wait()
    assert holder(tmp_path) is None
    with lease(tmp_path):
        assert holder(tmp_path) is not None


def test_looking_does_not_get_in_the_way(tmp_path, monkeypatch):
    """Somebody who looks holds the lock for an instant; a process that starts waits for that."""
    with lease(tmp_path):
        pass
    with (tmp_path / ".lease").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        monkeypatch.setattr(time, "sleep", lambda _: fcntl.flock(looking, fcntl.LOCK_UN))
        with lease(tmp_path):
            pass


def test_an_absent_folder_is_held_by_nobody(tmp_path):
    assert holder(tmp_path / "absent") is None


def test_a_file_system_without_locks_is_said_and_used(tmp_path, monkeypatch, caplog):
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with lease(tmp_path):
        assert Path(tmp_path / ".lease").read_text().startswith("process ")
    assert "two processes at once would not be noticed" in caplog.text
    assert holder(tmp_path) is None
