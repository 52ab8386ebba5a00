"""Printed lines about the runs of a sweep while other processes execute them."""

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
"""Interval at which the runs' states are read; several steps within it share a line."""


_TAIL_BYTES = 4096
_ACTIVITY = re.compile(r"(?!step |epoch ).+ \d+/\d+")


@final
class Watch:
    """Printer of a line for each change of a run: its state, its last step and the time left.

    Example:
        >>> from pathlib import Path
        >>> watch = Watch()
        >>> watch.show([RunRow("seed=0", Path("run"), None, False, "running", {"step": 1, "steps": 4})])
        seed=0: running  step 1/3
    """

    def __init__(self, rows: Sequence[RunRow] = ()) -> None:
        """Set the initial states, which are not printed.

        Args:
            rows: States of the runs before the first call of :meth:`show`.
        """
        self._shown = {row.label: _line(row) for row in rows}

    def show(self, rows: Sequence[RunRow]) -> None:
        """Print a line for each run that has changed since the last call."""
        for row in rows:
            line = _line(row)
            if row.state != "new" and self._shown.get(row.label) != line:
                self._shown[row.label] = line
                left = row.seconds_left
                print(f"{line}  about {rough(left)} left" if left else line, flush=True)


@contextmanager
def watched(sweep: SweepFolder) -> Iterator[None]:
    """Print changes of a sweep's runs while the context is active."""
    watch = Watch(_rows(sweep))

    def look() -> None:
        watch.show(_rows(sweep))

    try:
        with repeated(look, POLL_SECONDS, "watch"):
            yield
    finally:
        look()


def _rows(sweep: SweepFolder) -> Sequence[RunRow]:
    """Return the states of the runs; empty if the sweep's record cannot be read at the moment."""
    try:
        return sweep.rows()
    except (OSError, UserError):
        return []


def _activity(folder: Path) -> str:
    """Return the last logged progress line of an activity such as training; ``""`` if the last line is a step."""
    try:
        with (folder / "run.log").open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL_BYTES, 0))
            found = re.findall(rb"\[nas\.tracker\.together\]\[INFO\] (.+)", file.read())
    except OSError:
        return ""
    last = found[-1].decode(errors="replace") if found else ""
    return last if _ACTIVITY.match(last) else ""


def _line(row: RunRow) -> str:
    """Return a run's label and state, its last step and hypervolume, and its activity or error."""
    step, steps, hypervolume = (row.facts.get(key) for key in ("step", "steps", "hypervolume"))
    said = [f"{row.label}: {row.state}"]
    if isinstance(step, int) and isinstance(steps, int):
        said.append(f"step {step}/{steps - 1}")
        said += [] if hypervolume is None else [f"hypervolume {hypervolume:.4f}"]
    if row.state == "running" and (activity := _activity(row.folder)):
        said.append(activity)
    return "  ".join(said) + (f" ({row.error})" if row.error else "")
