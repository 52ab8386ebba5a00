"""Lines about the runs of a sweep while they go on elsewhere."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import final

from nas.errors import UserError
from nas.run.status import repeated
from nas.sweep import RunRow, SweepFolder
from nas.tracker.console import rough

POLL_SECONDS = 2.0
"""Between two looks at the runs; steps that are quicker share a line."""


_TAIL_BYTES = 4096
_ACTIVITY = re.compile(r"(?!step |epoch ).+ \d+/\d+")


@final
class Watch:
    """Prints a line for each change of a run: its state, its last step and the time left."""

    def __init__(self, rows: Sequence[RunRow] = ()) -> None:
        """Take what the runs were doing before, which is not shown."""
        self._shown = {row.label: _line(row) for row in rows}

    def show(self, rows: Sequence[RunRow]) -> None:
        """Print what has changed since the last call."""
        for row in rows:
            line = _line(row)
            if row.state != "new" and self._shown.get(row.label) != line:
                self._shown[row.label] = line
                left = row.seconds_left
                print(f"{line}  about {rough(left)} left" if left else line, flush=True)


@contextmanager
def watched(sweep: SweepFolder) -> Iterator[None]:
    """Show what the runs of a sweep are doing while the context lasts."""
    watch = Watch(_rows(sweep))

    def look() -> None:
        watch.show(_rows(sweep))

    try:
        with repeated(look, POLL_SECONDS, "watch"):
            yield
    finally:
        look()


def _rows(sweep: SweepFolder) -> Sequence[RunRow]:
    """Return what the runs are doing; nothing where their record cannot be read at this moment."""
    try:
        return sweep.rows()
    except (OSError, UserError):
        return []


def _activity(folder: Path) -> str:
    """Return what a run's log says last about a part of a step, such as training; ``""`` where that is a step."""
    try:
        with (folder / "run.log").open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL_BYTES, 0))
            found = re.findall(rb"\[nas\.tracker\.together\]\[INFO\] (.+)", file.read())
    except OSError:
        return ""
    last = found[-1].decode(errors="replace") if found else ""
    return last if _ACTIVITY.match(last) else ""


def _line(row: RunRow) -> str:
    """Return a run's label and state, its last step and hypervolume, what it is at, or what ended it."""
    step, steps, hypervolume = (row.facts.get(key) for key in ("step", "steps", "hypervolume"))
    said = [f"{row.label}: {row.state}"]
    if isinstance(step, int) and isinstance(steps, int):
        said.append(f"step {step}/{steps - 1}")
        said += [] if hypervolume is None else [f"hypervolume {hypervolume:.4f}"]
    if row.state == "running" and (activity := _activity(row.folder)):
        said.append(activity)
    return "  ".join(said) + (f" ({row.error})" if row.error else "")
