import hashlib
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nas import download as module
from nas.download import download
from nas.errors import UserError

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves ``CONTENT`` as ``/weights.pt``.

    Attributes:
        ranges: the Range header of each request.
        breaks: bytes after which the connections to come break, one each; whole answers after that.
        resumes: whether ranges are obeyed.
        delay: seconds before an answer.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []
        self.breaks: list[int] = []
        self.resumes = True
        self.delay = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/weights.pt"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.ranges.append(asked)
        time.sleep(self.server.delay)
        if self.path != "/weights.pt":
            self.send_error(404, "Not Found")
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.resumes else 0
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        stop = start + self.server.breaks.pop(0) if self.server.breaks else len(CONTENT)
        self.wfile.write(CONTENT[start:stop])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "PAUSE", 0.0)
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_file_is_downloaded_once(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target = tmp_path / "cache" / "weights.pt"
    with caplog.at_level(logging.INFO):
        assert download(server.url, target, SHA256) == target
    assert target.read_bytes() == CONTENT
    assert download(server.url, target, SHA256) == target
    assert server.ranges == [None]
    assert visible(target.parent) == ["weights.pt"]
    assert f"downloading {server.url} to {target}" in caplog.text
    assert "weights.pt: 100 % of 0.3 MB" in caplog.text


def test_a_broken_connection_is_resumed(server: Server, tmp_path: Path) -> None:
    server.breaks = [100_000, 50_000]
    download(server.url, tmp_path / "weights.pt", SHA256)
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-"]
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT


def test_a_later_call_resumes(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    server.breaks = [100_000]
    target = tmp_path / "weights.pt"
    with pytest.raises(UserError, match=r"broke after 100,000 of 300,000 bytes\): try again, or put the file at"):
        download(server.url, target, SHA256)
    assert visible(tmp_path) == ["weights.pt.part"]
    download(server.url, target, SHA256)
    assert server.ranges == [None, "bytes=100000-"]
    assert target.read_bytes() == CONTENT
    assert visible(tmp_path) == ["weights.pt"]


def test_a_server_that_cannot_resume_sends_everything_again(server: Server, tmp_path: Path) -> None:
    server.breaks, server.resumes = [100_000], False
    download(server.url, tmp_path / "weights.pt", None)
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT


def test_a_part_that_is_whole_is_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pt.part").write_bytes(CONTENT)
    download(server.url, tmp_path / "weights.pt", SHA256)
    assert server.ranges == ["bytes=300000-"]
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file_is_dropped(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pt.part").write_bytes(CONTENT + b"more")
    download(server.url, tmp_path / "weights.pt", SHA256)
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT


def test_a_wrong_hash_is_refused_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    wrong = "0" * 64
    with pytest.raises(UserError, match=f"SHA-256 {SHA256}, but must have {wrong}: it was removed"):
        download(server.url, tmp_path / "weights.pt", wrong)
    assert visible(tmp_path) == []


def test_a_file_put_there_by_hand_is_checked_and_kept(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "weights.pt"
    target.write_bytes(CONTENT)
    assert download(server.url, target, SHA256) == target
    target.write_bytes(b"other")
    with pytest.raises(UserError, match=f"'{target}' has the SHA-256 .* but must have {SHA256}: remove it"):
        download(server.url, target, SHA256)
    assert target.read_bytes() == b"other"
    assert server.ranges == []


def test_a_missing_file_is_one_line_with_address_and_place(server: Server, tmp_path: Path) -> None:
    url, target = server.url + "x", tmp_path / "weights.pt"
    with pytest.raises(UserError) as raised:
        download(url, target, None)
    assert str(raised.value) == (
        f"cannot download {url} (HTTP 404 Not Found): try again, or put the file at '{target}' by hand"
    )
    assert visible(tmp_path) == []


def test_no_connection_is_one_line_with_address_and_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        url = f"http://127.0.0.1:{closed.server_address[1]}/weights.pt"
    with pytest.raises(UserError, match=rf"cannot download {url} \(Connection refused\): .* '{tmp_path}/weights.pt'"):
        download(url, tmp_path / "weights.pt", None)


def test_two_processes_download_once(server: Server, tmp_path: Path) -> None:
    server.delay = 1.0
    target = tmp_path / "weights.pt"
    code = "import sys; from nas.download import *; download(sys.argv[1], Path(sys.argv[2]), sys.argv[3])"
    command = [sys.executable, "-c", code, server.url, str(target), SHA256]
    processes = [subprocess.Popen(command, cwd=Path(__file__).parent.parent) for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert server.ranges == [None]
    assert target.read_bytes() == CONTENT


def test_google_drive_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gdown", None)
    url = "https://drive.google.com/file/d/abc_1-2/view?usp=sharing"
    with pytest.raises(UserError, match=r"cannot download https://drive.*pip install gdown.*put the file at .*by hand"):
        download(url, tmp_path / "weights.pt", None)


@pytest.mark.parametrize(
    "url", ["https://drive.google.com/file/d/abc_1-2/view?usp=sharing", "https://drive.google.com/uc?id=abc_1-2"]
)
def test_google_drive_files_come_by_its_package(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*, id: str, output: str, **_: Any) -> None:
        assert id == "abc_1-2"
        Path(output).write_bytes(CONTENT)

    monkeypatch.setitem(sys.modules, "gdown", SimpleNamespace(download=write))
    download(url, tmp_path / "weights.pt", SHA256)
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT
    assert visible(tmp_path) == ["weights.pt"]


def test_google_drive_failures_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("too many\n\n  accesses")

    monkeypatch.setitem(sys.modules, "gdown", SimpleNamespace(download=fail))
    with pytest.raises(UserError, match=r"\(too many accesses\): try again"):
        download("https://drive.google.com/uc?id=abc", tmp_path / "weights.pt", None)
    monkeypatch.setitem(sys.modules, "gdown", SimpleNamespace(download=lambda **_: None))
    with pytest.raises(UserError, match="gdown got no file"):
        download("https://drive.google.com/uc?id=abc", tmp_path / "weights.pt", None)


def test_a_terminal_shows_a_bar(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # what makes rich take a pipe for a terminal
    download(server.url, tmp_path / "weights.pt", SHA256)
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT
