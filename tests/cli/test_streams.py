"""Readers that go away, disks that are full, streams that are closed, and Ctrl-C before there is anything to lose."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.quick_search import WORDS, write_predictor

ROOT = Path(__file__).parents[2]
PROGRAM = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from nas.cli.streams import lost_output, outlive_readers
outlive_readers()
os.kill(os.getpid(), signal.SIGHUP)  # as when a terminal is closed
for line in range(20_000):  # more than a pipe holds
    print(line)
    print(line, file=sys.stderr)
name = lost_output() and lost_output().strerror
opened = open(sys.argv[1], "w")
opened.write(f"{{name}}, file {{'is apart' if opened.fileno() > 2 else 'took the place of a stream'}}")
"""


def without_reader() -> int:
    read, write = os.pipe()
    os.close(read)
    return write


def closed_terminal() -> int:
    terminal, inside = os.openpty()
    os.close(terminal)
    return inside


@pytest.mark.parametrize(
    ("output", "lost"),
    [
        (without_reader, "None"),
        (closed_terminal, "None"),
        (lambda: os.open("/dev/full", os.O_WRONLY), "No space left on device"),
    ],
    ids=["pipe", "terminal", "full"],
)
def test_a_process_outlives_its_readers(output, lost, tmp_path):
    stream = output()
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "said")]
    code = subprocess.run(command, stdout=stream, stderr=stream, check=False).returncode
    os.close(stream)
    assert code == 0
    assert (tmp_path / "said").read_text() == f"{lost}, file is apart"


def test_streams_that_are_closed_from_the_start_write_to_nowhere(tmp_path):
    script = f"exec '{sys.executable}' -c \"$0\" '{tmp_path / 'said'}' <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", script, PROGRAM], check=False).returncode == 0
    assert (tmp_path / "said").read_text() == "None, file is apart"


def test_letters_that_the_output_lacks_are_numbers():
    program = "import nas.cli.streams as s; s.outlive_readers(); print('\\u00e4')"
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=ascii_only, capture_output=True, check=True)
    assert result.stdout == b"\\xe4\n"


@pytest.mark.parametrize(
    ("output", "end"),
    [
        (without_reader, (0, "")),
        pytest.param(
            lambda: os.open("/dev/full", os.O_WRONLY),
            (1, "error: the output cannot be written (No space left on device)\n"),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["pipe", "full"],
)
def test_help_without_a_reader_ends_quietly_and_on_a_full_disk_says_so(output, end):
    command = [sys.executable, str(ROOT / "launch.py"), "--help"]
    stream = output()
    result = subprocess.run(command, stdout=stream, stderr=subprocess.PIPE, text=True, check=False)
    os.close(stream)
    assert (result.returncode, result.stderr) == end


@pytest.mark.parametrize("ignored", [False, True])
def test_an_interrupt_before_any_work_ends_quietly(ignored):
    ends = "from nas.cli.streams import end_at_interrupts, raise_interrupts; import os, signal; end_at_interrupts(); "
    inside = "signal.raise_signal(signal.SIGINT)"
    command = [sys.executable, "-c", ends + (inside if not ignored else f"{inside}; print('goes on')")]
    if ignored:  # as in the background of a shell script
        command = ["sh", "-c", 'trap "" INT; exec "$0" "$@"', *command]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    expected = (0, "goes on\n", "") if ignored else (130, "", "")
    assert (result.returncode, result.stdout, result.stderr) == expected


def test_an_interrupt_during_work_is_raised():
    program = (
        "import signal; from nas.cli.streams import end_at_interrupts, raise_interrupts\n"
        "end_at_interrupts(); raise_interrupts()\n"
        "try: signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt: print('raised')"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "raised\n"


@pytest.mark.slow
@pytest.mark.parametrize("words", [["-m", "seed=0,1"], ["-m", "seed=0,1", "hydra.launcher.workers=2"], ["seed=0"]])
def test_a_run_and_a_sweep_without_a_reader_finish(words, tmp_path):
    write_predictor(tmp_path / "predictor.pth")
    command = [sys.executable, str(ROOT / "launch.py"), *WORDS, "tracker=console", "paths.cache=cache", *words]
    command.append("paths.run=run/${seed}")
    stream = without_reader()
    code = subprocess.run(command, cwd=tmp_path, stdout=stream, stderr=stream, check=False).returncode
    os.close(stream)
    assert code == 0
    states = [path.read_text() for path in tmp_path.glob("run/*/status.json")]
    assert len(states) == (2 if "-m" in words else 1)
    assert all('"state": "finished"' in text and '"error": null' in text for text in states)
    logs = [path.read_text() for path in tmp_path.glob("run/*/run.log")]
    assert not any("ERROR" in text or "Traceback" in text for text in logs)


@pytest.mark.slow
def test_an_interrupt_at_any_moment_of_the_start_leaves_no_traceback(tmp_path):
    for seconds in (0.15, 0.3, 0.6, 1.2, 2.0):
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "launch.py"), "training=none", "paths.run=run"],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in err
