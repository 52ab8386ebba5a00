"""Tracker that shows progress in the terminal, or as plain lines in a log file."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import TextWrapper
from time import monotonic
from typing import Annotated, TextIO, final

from annotated_types import Ge, Le
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nas.run.results import StepSummary
from nas.tracker.base import ACTIVITIES, RunInfo, Tracker, harmless
from nas.types import Probability, Seconds

RECENT = 5
"""Number of last steps whose mean time predicts the time of further steps."""


@dataclass(frozen=True)
class _Activity:
    """Current activity: its name, its progress, and its start (``time.monotonic``)."""

    what: str
    done: int
    total: int
    failed: int
    began: float


@final
class ConsoleTracker(Tracker):
    """Tracker with a live display on a terminal, or with one plain line per step in a file or a pipe.

    In a terminal the lines of finished steps stay above the display as a log. Steps are numbered as in the run folder:
    step 0 is the initial design and the last step is ``steps - 1``.

    Example:
        >>> tracker = ConsoleTracker(refresh_per_second=4.0, line_seconds=10.0, line_share=0.1)
        >>> tracker.background_seconds
        0.0
    """

    def __init__(
        self,
        *,
        refresh_per_second: Annotated[float, Ge(0.01), Le(100)] = 4.0,
        line_seconds: Seconds = 10.0,
        line_share: Probability = 0.1,
        stream: TextIO | None = None,
    ) -> None:
        """Set how often progress is shown.

        Args:
            refresh_per_second: Number of redraws of the live display per second, 0.01 to 100.
            line_seconds: Minimum seconds between two plain lines about one activity.
            line_share: Minimum share of the activity between two plain lines, 0 to 1.
            stream: Stream for the output; ``None`` for the standard output at the time of ``start``.
        """
        self._refresh = refresh_per_second
        self._line_seconds = line_seconds
        self._line_share = line_share
        self._stream = stream
        self._live: Live | None = None
        self._activity: _Activity | None = None
        self._steps: list[StepSummary] = []
        self._epochs = 0
        self._last_line = (0.0, 0.0)

    @harmless
    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        """Write the name of the run, and start the live display on a terminal."""
        self._run = run
        self._steps = list(history)
        self._epochs = 0
        self._activity = None
        self._began = self._step_began = monotonic()
        self._out = self._stream or sys.stdout
        console = Console(file=self._out, markup=False, highlight=False, emoji=False)
        self._say(f"{run.task} {run.name} in {run.folder}")
        for topic, text in run.about.items():
            self._say(f"  {topic}: {text}")
        if history:
            self._say(f"goes on after {self._step_line(history[-1])}")
        if self._out.isatty() and console.is_terminal and not console.is_dumb_terminal:
            self._live = Live(
                console=console, get_renderable=self._render, refresh_per_second=self._refresh, transient=True
            )
            self._live.start()
            console.show_cursor(True)  # a killed process could not restore a hidden cursor

    @harmless
    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        """Update the live display; without one, write a line at intervals during a long activity."""
        now = monotonic()
        before = self._activity
        if before is None or before.what != what or done < before.done:
            self._last_line = (now, 0.0)
            before = None
        began = before.began if before else now
        self._activity = activity = _Activity(what, done, total, failed, began)
        share = done / max(total, 1)
        then, shown = self._last_line
        due = now - then >= self._line_seconds and share - shown >= self._line_share - 1e-9
        if self._live is None and due:
            self._last_line = (now, share)
            self._say(f"{what} {done}/{total}{_failures(activity.failed)}  {duration(now - began)}")

    @harmless
    def step(self, summary: StepSummary, picture: Path | None) -> None:
        """Write the step's line and clear the current activity."""
        self._steps.append(summary)
        self._activity = None
        self._step_began = monotonic()
        left = self._seconds_left()
        self._say(self._step_line(summary) + (f"  about {rough(left)} left" if left else ""))

    @harmless
    def epoch(self, row: Mapping[str, float | None], new: bool) -> None:
        """Write the line of a new epoch."""
        self._epochs = int(row["epoch"] or 0) + 1
        self._activity = None
        if new:
            self._say("  ".join([f"epoch {self._of(self._epochs - 1)}", *_accuracies(row)]))

    @harmless
    def finish(self, error: str | None) -> None:
        """Stop the live display and write the run's duration and error."""
        try:
            if self._live is not None:
                self._live.stop()
        finally:
            self._live = None
        took = duration(monotonic() - self._began)
        done = self._finished
        self._say(f"finished in {took}" if error is None else f"stopped in step {self._of(done)} after {took}: {error}")

    def _say(self, line: str) -> None:
        if self._live is not None:
            self._live.console.print(fitted(line, self._live.console.width), soft_wrap=True)
        else:
            print(line, file=self._out, flush=True)

    @property
    def _finished(self) -> int:
        """Number of finished steps or epochs; the measurement before the first epoch counts."""
        return self._steps[-1].step + 1 if self._steps else self._epochs

    def _of(self, step: int) -> str:
        last = self._run.steps - 1
        return f"{min(step, last)}/{last}"

    def _step_line(self, summary: StepSummary) -> str:
        parts = [f"step {self._of(summary.step)}", f"{summary.evaluations} evaluations ({summary.failed} failed)"]
        return "  ".join([*parts, *self._quality(summary), *([_spent(summary.seconds)] if summary.seconds else [])])

    def _quality(self, summary: StepSummary) -> list[str]:
        first = self._run.objectives[0]
        best = f"best validation {first.words} {summary.best[0]:.2f} {first.short_unit}"
        parts = [f"hypervolume {summary.hypervolume:.4f}", best]
        if summary.tau is None:
            return parts
        whole = "" if summary.tau_archive is None else f" ({summary.tau_archive:.2f} with the archive)"
        own = [f"{name} {value:.2f}" for name, value in summary.parts.items() if value is not None]
        return [*parts, f"tau {summary.tau:.2f}{whole}", *([f"rho {', '.join(own)}"] if own else [])]

    def _seconds_left(self) -> float | None:
        """Estimate the time of all further steps from the mean of the recent ones.

        The initial design has another number of evaluations than later steps. Its time per evaluation is used only
        until a second step is complete. Its training is left out, because it does not happen again.
        """
        timed = [s for s in self._steps if s.seconds]
        if not timed:
            return None
        last = self._steps[-1]
        recent = [sum(s.seconds.values()) for s in timed if s.step > 0][-RECENT:]
        if recent:
            return sum(recent) / len(recent) * (self._run.steps - 1 - last.step)
        seconds = sum(seconds for activity, seconds in timed[0].seconds.items() if activity != "train")
        per_evaluation = seconds / max(timed[0].evaluations, 1)
        return per_evaluation * (self._run.evaluations - last.evaluations)

    def _render(self) -> Group:
        """Return the live display: steps, current activity and state of the search."""
        now = monotonic()
        run, activity, last = self._run, self._activity, self._steps[-1] if self._steps else None
        finished = self._finished
        times = f"elapsed {duration(now - self._began)}"
        left = self._seconds_left()
        if left:
            times += f", about {rough(max(left - (now - self._step_began), 0.0))} left"
        rows = [(f"step {self._of(finished)}", run.steps, finished, times)]
        if activity is None:
            rows.append(("", 1, 0, ""))
        else:
            count = f"{activity.done}/{activity.total}{_failures(activity.failed)}"
            rows.append((activity.what, max(activity.total, 1), activity.done, count))
        table = Table.grid(padding=(0, 2))
        for _ in range(3):
            table.add_column(no_wrap=True, overflow="ellipsis")
        words = max(len(row[0]) for row in rows) + max(len(row[3]) for row in rows)
        bar = max(4, min(30, (self._live.console.width if self._live else 80) - words - 4))
        for name, total, done, said in rows:
            table.add_row(name, ProgressBar(total, done, width=bar), said)
        state = [f"{last.evaluations} evaluations ({last.failed} failed)", *self._quality(last)] if last else []
        return Group(table, Text("  ".join(state), no_wrap=True, overflow="ellipsis"))


def _accuracies(row: Mapping[str, float | None]) -> list[str]:
    """Return the known loss and accuracies of an epoch as texts."""
    loss, top1, average = row.get("train_loss"), row.get("top1"), row.get("ema_top1")
    parts = [] if loss is None else [f"loss {loss:.4f}"]
    parts += [] if top1 is None else [f"top1 {top1:.2f} %"]
    return parts + ([] if average is None else [f"average {average:.2f} %"])


def _spent(seconds: Mapping[str, float]) -> str:
    """Return the total time and the activities of at least a tenth of it: ``4.2 s (fit 1.2 s, evaluate 3.0 s)``."""
    whole = sum(seconds.values())
    shown = [f"{name} {duration(seconds[name])}" for name in ACTIVITIES if seconds.get(name, 0.0) >= whole / 10 > 0]
    return f"{duration(whole)} ({', '.join(shown)})" if shown else duration(whole)


def _failures(failed: int) -> str:
    return f" ({failed} failed)" if failed else ""


def duration(seconds: float) -> str:
    """Return a time as text: ``4.2 s``, ``42 s``, ``3 min 5 s``, ``2 h 10 min``.

    Example:
        >>> duration(185.0)
        '3 min 5 s'
    """
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def fitted(line: str, width: int) -> str:
    """Break a line that is too wide: first between its parts, which are two spaces apart, then between words.

    Args:
        line: Line of text.
        width: Number of columns of the terminal.

    Example:
        >>> fitted("step 1/4  20 evaluations", 16).splitlines()
        ['step 1/4', '    20', '    evaluations']
    """
    lines: list[str] = []
    for part in line.split("  "):
        if lines and len(lines[-1]) + 2 + len(part) <= width:
            lines[-1] += f"  {part}"
        else:
            lines.append(f"    {part}" if lines else part)
    words = TextWrapper(width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(piece for each in lines for piece in ([each] if len(each) <= width else words.wrap(each)))


def terminal_width() -> int | None:
    """Return the number of columns of the terminal; ``None`` if standard output is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def rough(seconds: float) -> str:
    """Return an estimated time as text, rounded to 5 seconds below a minute and to minutes above.

    Example:
        >>> rough(42.3), rough(185.0)
        ('40 s', '3 min')
    """
    if seconds < 57.5:
        return f"{max(5 * round(seconds / 5), 5)} s"
    return f"{round(seconds / 60)} min" if seconds < 3570 else duration(60 * round(seconds / 60))
