"""Progress on a terminal, or as plain lines."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import TaskID

from nas.tracker.console import rough
from nas.types import Progress

LINE_SECONDS = 10.0
"""Shortest time between two plain lines."""


@contextmanager
def shown(*, lines: bool = False) -> Iterator[Progress]:
    """Yield a callback that shows progress and the time left as a bar on standard error.

    Args:
        lines: Whether plain lines are printed if standard error is no terminal; without them nothing is shown there.

    Example:
        >>> with shown() as told:
        ...     told("measuring", 1, 2)
    """
    console = Console(stderr=True)
    with Bars(console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}
        began: dict[str, float] = {}
        last = 0.0

        def told(activity: str, done: int, total: int) -> None:
            nonlocal last
            if activity not in tasks:
                tasks[activity] = bars.add_task(activity)
                began[activity] = monotonic()
            bars.update(tasks[activity], completed=done, total=total)
            now = monotonic()
            if lines and not console.is_terminal and (done == 0 or now - last >= LINE_SECONDS):
                last = now
                left = (now - began[activity]) / done * (total - done) if done else 0.0
                print(f"{activity} {done}/{total}" + (f", about {rough(left)} left" if left else ""), file=sys.stderr)

        yield told
