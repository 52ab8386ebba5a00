"""Weights & Biases in processes of their own: killed, resumed, and with a server that is away."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import pytest
from PIL import Image

from nas.tracker.wandb_run import logged_steps
from tests.tracker.wandb_runs import has_server, offline_runs, reads_offline_runs, tool

ROOT = Path(__file__).parents[2]
PAUSE = 2.5  # more than what was logged takes to be on disk, or on the server

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:unclosed")]


class Child:
    """``wandb_child.py``, told when to go on."""

    def __init__(
        self,
        folder: Path,
        mode: str,
        first: int,
        last: int,
        *ending: str,
        url: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        Image.new("RGB", (4, 3), "red").save(folder / "front.png")
        environment = os.environ | {"WANDB_API_KEY": "x" * 40, "PYTHONPATH": str(ROOT), "TIMEOUT": str(timeout)}
        environment |= {} if url is None else {"WANDB_BASE_URL": url}
        words = [sys.executable, "-m", "tests.tracker.wandb_child", str(folder), mode, str(first), str(last), *ending]
        self._process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.line()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def go_on(self) -> float:
        """Let it take a step, or end; return the seconds that it says this took."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self.line()
        return float(line.rpartition(" ")[2]) if line else 0.0

    def end(self) -> tuple[int, str]:
        """Let it end; return its exit code and what it wrote to the standard error."""
        _, errors = self._process.communicate("\n", timeout=200)
        return self._process.returncode, errors


def run(folder: Path, mode: str, first: int, last: int, *ending: str, url: str | None = None) -> tuple[int, str]:
    """Log steps, wait until they are where they go, and end."""
    before = set(logs(folder))
    with Child(folder, mode, first, last, *ending, url=url) as child:
        for _ in range(first, last + 1):
            child.go_on()
        if mode == "offline":
            wait_for(lambda: any(last in logged_steps(log) for log in set(logs(folder)) - before))
        return child.end()


def logs(folder: Path) -> list[Path]:
    return list(folder.glob("wandb/*run-*/*.wandb"))


def steps(rows: Sequence[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(row["_step"], row["step"]) for row in rows]


def whole(n: int) -> list[tuple[int, int]]:
    return [(step, step) for step in range(n)]


@pytest.fixture
def server() -> Iterator[Any]:
    fake = tool("wandb_loopback").Fake()
    yield fake
    fake.srv.shutdown()
    fake.srv.server_close()


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


@reads_offline_runs
def test_after_sigkill_the_offline_folder_holds_every_step(tmp_path: Path) -> None:
    assert run(tmp_path, "offline", 0, 3, "kill")[0] == -9
    (killed,) = offline_runs(tmp_path, ended=False)
    assert steps(killed["history"]) == whole(4)
    assert killed["exit"] is None


@reads_offline_runs
@has_server
def test_killed_and_resumed_twice_a_run_has_every_step_once_after_sync(tmp_path: Path, server: Any) -> None:
    run(tmp_path, "offline", 0, 1, "kill")
    run(tmp_path, "offline", 2, 3, "kill")
    assert run(tmp_path, "offline", 3, 5) == (0, "")  # step 3 is not in the archive yet
    rows = [row for folder in offline_runs(tmp_path) for row in folder["history"]]
    assert steps(rows) == whole(6)
    sync(tmp_path, server.url)
    assert list(server.runs) == ["id0"]
    assert steps(server.history["id0"]) == whole(6)
    assert server.exit == {"id0": 0}


@reads_offline_runs
@has_server
def test_a_run_that_was_synced_before_it_went_on_has_every_step_once(tmp_path: Path, server: Any) -> None:
    run(tmp_path, "offline", 0, 1, "kill")
    sync(tmp_path, server.url)
    run(tmp_path, "offline", 2, 3)
    sync(tmp_path, server.url)
    assert steps(server.history["id0"]) == whole(4)


def sync(folder: Path, url: str) -> None:
    words = [str(Path(sys.executable).with_name("wandb")), "sync", "--yes"]
    environment = os.environ | {"WANDB_API_KEY": "x" * 40, "WANDB_BASE_URL": url}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert "ERROR" not in done.stderr, done.stderr


@reads_offline_runs
def test_a_service_that_is_terminated_costs_nothing(tmp_path: Path) -> None:
    code, errors = run(tmp_path, "offline", 0, 2, "terminate")
    assert code == 0
    assert len(errors.splitlines()) == 1
    assert "Weights & Biases failed, the run goes on" in errors
    (folder,) = offline_runs(tmp_path)
    assert steps(folder["history"]) == whole(3)
    assert folder["exit"] == 0


@has_server
def test_online_a_killed_and_resumed_run_has_one_id_and_every_step_once(tmp_path: Path, server: Any) -> None:
    with Child(tmp_path, "online", 0, 2, "kill", url=server.url) as child:
        for _ in range(3):
            child.go_on()
        wait_for(lambda: len(server.history.get("id0", [])) == 3)
        assert child.end()[0] == -9
    assert run(tmp_path, "online", 3, 4, url=server.url) == (0, "")
    assert list(server.runs) == ["id0"]
    assert steps(server.history["id0"]) == whole(5)
    assert server.exit["id0"] == 0


@has_server
def test_online_what_a_killed_run_did_not_upload_is_replayed(tmp_path: Path, server: Any) -> None:
    with Child(tmp_path, "online", 0, 3, "kill", url=server.url) as child:
        for _ in range(4):
            child.go_on()
        child.end()
    time.sleep(PAUSE)
    there = len(server.history.get("id0", []))
    assert run(tmp_path, "online", 4, 5, url=server.url) == (0, "")
    assert steps(server.history["id0"]) == whole(6)
    assert there <= 4


@has_server
def test_a_server_that_is_away_at_the_start_gets_everything_later(tmp_path: Path) -> None:
    port = free_port()
    with Child(tmp_path, "online", 0, 2, url=f"http://127.0.0.1:{port}", timeout=3.0) as child:
        assert max(child.go_on() for _ in range(3)) < 0.1
        wait_for(lambda: logs(tmp_path))
        time.sleep(5.0)  # the first attempt has failed by now
        fake: ModuleType = tool("wandb_loopback").Fake(port)
        code, errors = child.end()
    assert code == 0
    assert steps(fake.history["id0"]) == whole(3)
    assert len(errors.splitlines()) == 1
    fake.srv.shutdown()
    fake.srv.server_close()


@has_server
@pytest.mark.parametrize("returns", [True, False])
def test_a_server_that_goes_away_in_the_middle_never_stops_a_run(tmp_path: Path, returns: bool) -> None:
    fake = tool("wandb_loopback").Fake()
    port = fake.srv.server_port
    with Child(tmp_path, "online", 0, 3, url=fake.url, timeout=5.0) as child:
        child.go_on()
        wait_for(lambda: len(fake.history.get("id0", [])) == 1)
        fake.srv.shutdown()
        fake.srv.server_close()
        assert max(child.go_on() for _ in range(3)) < 0.1
        time.sleep(1.0)
        if returns:
            again = tool("wandb_loopback").Fake(port)
            again.runs, again.history = fake.runs, fake.history
            time.sleep(8.0)
        began = time.monotonic()
        code, errors = child.end()
    assert code == 0
    assert time.monotonic() - began < 60
    if returns:
        assert errors == ""
        assert steps(fake.history["id0"]) == whole(4)
        again.srv.shutdown()
        again.srv.server_close()
    else:
        assert "task=replay" in errors.splitlines()[-1]
    again = tool("wandb_loopback").Fake()
    again.runs, again.history = fake.runs, fake.history
    assert run(tmp_path, "online", 4, 3, url=again.url) == (0, "")  # as a replay does
    assert steps(again.history["id0"]) == whole(4)
    again.srv.shutdown()
    again.srv.server_close()


def wait_for(condition: Any, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
