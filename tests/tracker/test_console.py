import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nas.run.box import Box
from nas.run.results import StepSummary
from nas.tracker import console
from nas.tracker.base import RunInfo
from nas.tracker.console import ConsoleTracker, duration, fitted
from nas.types import Measure

RUN = RunInfo(
    folder=Path("outputs") / "tiny-0",
    id="a1",
    group="tiny",
    name="tiny-0",
    task="search",
    tags=(),
    config={},
    objectives=[Measure("top1_error", "%"), Measure("flops", "MFLOPs")],
    steps=31,
    evaluations=340,
)
STEP = StepSummary(
    step=3,
    evaluations=124,
    failed=0,
    hypervolume=0.81234,
    front_size=9,
    best=(1.333, 0.42),
    rmse=0.2,
    rho=0.8,
    tau=0.71,
    rmse_archive=0.05,
    rho_archive=0.99,
    tau_archive=0.96,
    parts={},
    seconds={"search": 1.2, "evaluate": 3.0},
    front=[],
    box=Box((90.0, 1.0), (0.0, 0.1), "space"),
)
INITIAL = replace(STEP, step=0, evaluations=100, tau=None, tau_archive=None, seconds={"evaluate": 50.0})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(console, "monotonic", clock)
    return clock


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return Terminal()


def make(stream: io.StringIO | None) -> ConsoleTracker:
    return ConsoleTracker(refresh_per_second=20.0, line_seconds=10.0, line_share=0.1, stream=stream)


def test_plain_lines(clock: Clock) -> None:
    stream = io.StringIO()
    tracker = make(stream)
    tracker.start(RUN, [])
    for done in range(9):
        tracker.progress("evaluate", done, 8)
    tracker.step(STEP, None)
    clock.now += 125
    tracker.finish(None)
    assert stream.getvalue().splitlines() == [
        f"search tiny-0 in {RUN.folder}",
        "step 3/30  124 evaluations (0 failed)  hypervolume 0.8123  best validation top-1 error 1.33 %"
        "  tau 0.71 (0.96 with the archive)  4.2 s (search 1.2 s, evaluate 3.0 s)  about 2 min left",
        "finished in 2 min 5 s",
    ]


def test_what_is_searched_stands_at_the_beginning() -> None:
    stream = io.StringIO()
    tracker = make(stream)
    about = {"data": "digits, 1,797 images", "space": "23 genes"}
    tracker.start(replace(RUN, about=about), [STEP])
    assert stream.getvalue().splitlines()[:3] == [
        f"search tiny-0 in {RUN.folder}",
        "  data: digits, 1,797 images",
        "  space: 23 genes",
    ]


def test_epochs_of_a_fine_tuning(clock: Clock) -> None:
    stream = io.StringIO()
    tracker = make(stream)
    tracker.start(replace(RUN, task="finetune", objectives=(), steps=4, evaluations=0), [])
    tracker.epoch({"epoch": 0, "train_loss": None, "top1": 90.0, "ema_top1": None}, False)
    tracker.progress("training", 1, 9)
    tracker.epoch({"epoch": 1, "train_loss": 0.5, "top1": 91.234, "ema_top1": 92.0}, True)
    tracker.finish("RunError: no")
    assert stream.getvalue().splitlines() == [
        f"finetune tiny-0 in {RUN.folder}",
        "epoch 1/3  loss 0.5000  top1 91.23 %  average 92.00 %",
        "stopped in step 2/3 after 0.0 s: RunError: no",
    ]


def test_a_terminal_shows_epochs(terminal: Terminal) -> None:
    tracker = make(terminal)
    tracker.start(replace(RUN, objectives=(), steps=4, evaluations=0), [])
    tracker.epoch({"epoch": 1, "train_loss": 0.5, "top1": 91.0, "ema_top1": None}, True)
    tracker.progress("training", 1, 9)
    tracker.finish(None)
    assert "epoch 1/3  loss 0.5000  top1 91.00 %" in terminal.getvalue()
    assert "step 2/3" in terminal.getvalue()


def test_no_control_codes_in_a_pipe_even_where_colour_is_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    tracker = make(stream)
    tracker.start(RUN, [])
    tracker.progress("evaluate", 1, 2)
    tracker.step(STEP, None)
    tracker.finish("ValueError: no")
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().splitlines()[-1].startswith("stopped in step 4/30 after ")
    assert stream.getvalue().endswith(": ValueError: no\n")


def test_plain_lines_of_a_long_activity_are_few(clock: Clock) -> None:
    stream = io.StringIO()
    tracker = make(stream)
    tracker.start(RUN, [])
    for epoch in range(101):
        tracker.progress("train supernet", epoch, 100)
        clock.now += 0.6
    lines = stream.getvalue().splitlines()[1:]
    assert lines[0] == "train supernet 17/100  10 s"
    assert [int(re.findall(r"(\d+)/100", line)[0]) for line in lines] == [17, 34, 51, 68, 85]
    tracker.progress("evaluate", 0, 4)
    clock.now += 3600
    tracker.progress("evaluate", 0, 4)
    tracker.progress("evaluate", 2, 4, failed=1)
    assert stream.getvalue().splitlines()[6:] == ["evaluate 2/4 (1 failed)  1 h 0 min"]


def test_time_left_follows_the_steps_not_the_initial_design() -> None:
    stream = io.StringIO()
    tracker = make(stream)
    tracker.start(RUN, [])
    tracker.step(INITIAL, None)
    assert stream.getvalue().rstrip().endswith("50 s (evaluate 50 s)  about 2 min left")
    tracker.step(replace(STEP, step=1, evaluations=108, seconds={"evaluate": 10.0}), None)
    assert stream.getvalue().rstrip().endswith("10 s (evaluate 10 s)  about 5 min left")
    tracker.step(replace(STEP, step=30, evaluations=340), None)
    assert stream.getvalue().rstrip().endswith("with the archive)  4.2 s (search 1.2 s, evaluate 3.0 s)")


def test_resumed_run_says_where_it_goes_on() -> None:
    stream = io.StringIO()
    tracker = make(stream)
    tracker.start(RUN, [INITIAL, replace(STEP, seconds={})])
    assert stream.getvalue().splitlines()[1] == (
        "goes on after step 3/30  124 evaluations (0 failed)  hypervolume 0.8123  best validation top-1 error 1.33 %"
        "  tau 0.71 (0.96 with the archive)"
    )


def test_terminal_shows_progress_and_keeps_a_log(terminal: Terminal) -> None:
    tracker = make(terminal)
    tracker.start(RUN, [INITIAL])
    tracker.progress("evaluate", 5, 8, failed=2)
    live = tracker._live
    assert live is not None
    live.refresh()
    assert "step 1/30" in terminal.getvalue()
    assert "evaluate" in terminal.getvalue() and "5/8 (2 failed)" in terminal.getvalue()
    assert "about 2 min" in terminal.getvalue()
    tracker.step(STEP, None)
    tracker.finish(None)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    assert "step 3/30  124 evaluations (0 failed)  hypervolume 0.8123" in text
    assert text.rstrip().splitlines()[-1].startswith("finished in ")


def test_terminal_is_left_sane_after_an_interrupt(terminal: Terminal) -> None:
    stdout = sys.stdout
    tracker = make(terminal)
    tracker.start(RUN, [])
    assert sys.stdout is not stdout
    tracker.finish("KeyboardInterrupt")
    assert sys.stdout is stdout
    assert terminal.getvalue().rfind("\x1b[?25h") > terminal.getvalue().rfind("\x1b[?25l")
    assert tracker._live is None


def test_dumb_terminal_gets_plain_lines(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    tracker = make(terminal)
    tracker.start(RUN, [])
    tracker.step(STEP, None)
    tracker.finish(None)
    assert "\x1b" not in terminal.getvalue()


def test_closed_output_does_not_stop_the_run(caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    tracker = make(stream)
    tracker.start(RUN, [])
    stream.close()
    tracker.step(STEP, None)
    tracker.finish(None)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_standard_output_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    tracker = make(None)
    tracker.start(RUN, [])
    tracker.step(STEP, None)
    assert "step 3/30" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3725.0, "1 h 2 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_parts_of_the_surrogate_are_named() -> None:
    stream = io.StringIO()
    tracker = make(stream)
    tracker.start(RUN, [replace(STEP, seconds={}, parts={"flops": 0.876, "tiny_error": None, "wide_error": -0.1})])
    assert (
        stream.getvalue().splitlines()[1].endswith("tau 0.71 (0.96 with the archive)  rho flops 0.88, wide_error -0.10")
    )


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (60, ["step 1/3  28 evaluations (0 failed)  hypervolume 0.1143", "    tau 1.00 (0.94 with the archive)"]),
        (100, ["step 1/3  28 evaluations (0 failed)  hypervolume 0.1143  tau 1.00 (0.94 with the archive)"]),
        (30, ["step 1/3", "    28 evaluations (0 failed)", "    hypervolume 0.1143", "    tau 1.00 (0.94 with the",
              "    archive)"]),
    ],
)  # fmt: skip
def test_lines_break_between_parts_and_never_inside_words(width: int, lines: list[str]) -> None:
    line = "step 1/3  28 evaluations (0 failed)  hypervolume 0.1143  tau 1.00 (0.94 with the archive)"
    assert fitted(line, width).splitlines() == lines
    assert fitted("in /a/folder-without-spaces", 9).splitlines()[-1].strip() == "/a/folder-without-spaces"


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_nothing_on_a_terminal_is_wider_than_it(
    width: int, monkeypatch: pytest.MonkeyPatch, terminal: Terminal
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    tracker = make(terminal)
    tracker.start(RUN, [])
    tracker.progress("measuring the final front on the test set", 3, 20, 1)
    tracker.step(STEP, None)
    tracker.finish(None)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()).replace("\r", "\n")
    assert max(map(len, shown.splitlines())) <= width
    assert "tau" in shown
