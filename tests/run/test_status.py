import json
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from nas.files import write_json
from nas.run import status
from nas.run.lease import lease
from nas.run.status import StatusFile, observed, slurm_job

RUN = (
    "import sys, time; from pathlib import Path\n"
    "from nas.run.lease import lease; from nas.run.status import StatusFile\n"
    "folder = Path(sys.argv[1]); file = StatusFile(folder / 'status.json')\n"
    "with lease(folder), file.kept():\n"
    "    file.write('running', step=2, steps=9)\n"
    "    print('runs', flush=True); time.sleep(60)"
)


@pytest.fixture
def process(tmp_path):
    """A run in another process."""
    process = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "runs\n"
    yield process
    process.kill()
    process.communicate()


def read(folder):
    return json.loads((folder / "status.json").read_text())


def test_a_run_is_running_and_then_finished(tmp_path):
    file = StatusFile(tmp_path / "status.json")
    file.write("queued")
    with lease(tmp_path), file.kept():
        assert read(tmp_path)["state"] == observed(tmp_path)["state"] == "running"
        file.write("running", step=3, steps=5, hypervolume=0.5)
    facts = read(tmp_path)
    assert (facts["state"], facts["step"], facts["hypervolume"], facts["error"]) == ("finished", 3, 0.5, None)
    assert facts["host"] == socket.gethostname()
    assert facts["elapsed"] >= 0


def test_an_error_is_named_by_its_last_line(tmp_path):
    file = StatusFile(tmp_path / "status.json")
    with pytest.raises(ValueError, match="first"), file.kept():
        raise ValueError("first\nsecond\n")
    assert (read(tmp_path)["state"], read(tmp_path)["error"]) == ("failed", "ValueError: second")


def test_ctrl_c_interrupts(tmp_path):
    file = StatusFile(tmp_path / "status.json")
    with pytest.raises(KeyboardInterrupt), file.kept():
        raise KeyboardInterrupt
    assert (read(tmp_path)["state"], read(tmp_path)["error"]) == ("interrupted", "KeyboardInterrupt")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_a_signal_ends_the_process_at_once_with_a_true_state(tmp_path, process, number):
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    facts = observed(tmp_path)
    assert (facts["state"], facts["step"]) == ("interrupted", 2)
    assert facts["error"] == f"stopped by {number.name}"


def test_kill_9_is_seen_at_once(tmp_path, process):
    assert observed(tmp_path)["state"] == "running"
    process.kill()
    process.wait()
    assert read(tmp_path)["state"] == "running"
    assert observed(tmp_path)["state"] == "killed"


@pytest.mark.parametrize(("seconds", "state"), [(0, "running"), (30, "running"), (3600, "killed")])
def test_on_another_host_the_heartbeat_decides(tmp_path, seconds, state):
    heartbeat = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
    write_json(tmp_path / "status.json", {"state": "running", "host": "elsewhere", "heartbeat": heartbeat})
    assert observed(tmp_path)["state"] == state


def test_the_heart_beats_and_says_what_the_process_said_last(tmp_path, monkeypatch):
    monkeypatch.setattr(status, "HEARTBEAT_SECONDS", 0.01)
    file = StatusFile(tmp_path / "status.json")
    with file.kept():
        file.write("running", step=4)
        write_json(tmp_path / "status.json", {"state": "queued", "heartbeat": "never"})
        deadline = time.monotonic() + 60
        while read(tmp_path)["heartbeat"] == "never" and time.monotonic() < deadline:
            time.sleep(0.005)
        assert (read(tmp_path)["state"], read(tmp_path)["step"]) == ("running", 4)


def test_a_full_disk_does_not_hide_what_happened(tmp_path, monkeypatch):
    file = StatusFile(tmp_path / "status.json")

    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    with pytest.raises(ZeroDivisionError), file.kept():
        monkeypatch.setattr(status, "write_json", full)
        raise ZeroDivisionError


def test_work_of_all_processes_adds_up(tmp_path, monkeypatch):
    write_json(tmp_path / "status.json", {"state": "interrupted", "elapsed": 100.0})
    now = [1000.0]
    monkeypatch.setattr(status, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with StatusFile(tmp_path / "status.json").kept():
        now[0] += 7.5
    assert read(tmp_path)["elapsed"] == 107.5


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_a_damaged_file_says_nothing(tmp_path, text):
    (tmp_path / "status.json").write_text(text)
    assert observed(tmp_path) == {}


def test_jobs_of_slurm_have_the_names_that_its_commands_take(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID", raising=False)
    assert slurm_job() is None
    monkeypatch.setenv("SLURM_JOB_ID", "74")
    assert slurm_job() == "74"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "71")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert slurm_job() == "71_3"
