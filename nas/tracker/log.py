"""Progress as lines of a run's log."""

import io
import logging
from typing import final

from nas.tracker.console import ConsoleTracker

LINE_SECONDS = 60.0
"""Between two lines about one activity, at least."""

log = logging.getLogger(__name__)


@final
class _LogLines(io.StringIO):
    """Text stream whose lines go into the log."""

    def write(self, text: str) -> int:
        """Log what is not blank."""
        if text.strip():
            log.info("%s", text.rstrip())
        return len(text)


def log_tracker() -> ConsoleTracker:
    """Return a tracker that writes into the log what a console without a terminal shows."""
    return ConsoleTracker(refresh_per_second=1.0, line_seconds=LINE_SECONDS, line_share=0.1, stream=_LogLines())
