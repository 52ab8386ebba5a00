"""Progress as runs of Weights & Biases."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, final

from nas.errors import typed
from nas.run.results import StepSummary
from nas.tracker.base import RunInfo, Tracker
from nas.tracker.wandb_thread import Outcome, WandbThread
from nas.types import Seconds

if TYPE_CHECKING:
    from nas.tracker.wandb_run import WandbRun

SPARE_SECONDS = 5.0
"""That the end may take beside the two timeouts, of opening the run and of the upload that is left."""

log = logging.getLogger(__name__)


@final
class WandbTracker(Tracker):
    """Logs every step to Weights & Biases, and passes all calls on to a second tracker for the screen.

    A run keeps its id when it is resumed. Offline, the new process logs all steps again, into a folder that takes the
    place of the one that the last process left below ``<run folder>/wandb``, which may lack its last seconds:
    ``wandb sync`` uploads every step once. Online, it logs what the server lacks. The metrics are those of
    ``StepSummary`` over ``step``: ``best/<objective>``, ``seconds/<activity>``, a table ``front`` and the picture
    ``front_picture``. Beside the settings, the configuration has ``box``, which hypervolumes are a share of, ``about``
    and ``git``; the summary of a finished run has what is known on the test split, ``test/...``. The settings win over
    environment variables, but for the credentials, the server's address, and the entity where it is not set.

    All of this happens in a thread, so that no server, however slow, keeps the run from going on; one that is away is
    tried again. Failures never stop a run: the first is logged, and the run goes on.
    """

    def __init__(
        self,
        *,
        mode: Literal["offline", "online", "disabled"],
        project: str,
        entity: str | None,
        tags: tuple[str, ...],
        timeout: Seconds,
        display: Tracker,
    ) -> None:
        """Choose where runs are logged.

        Args:
            mode: ``"offline"`` writes to the run folder, ``"online"`` uploads as well, ``"disabled"`` only displays.
            project: name of the project.
            entity: user or team; ``None`` for the account's default.
            tags: put on runs in addition to the names of their parts.
            timeout: seconds that connecting, and the upload that is left at the end, may each take.
            display: receives every call too.
        """
        self._mode = mode
        self._project = project
        self._entity = entity
        self._tags = tags
        self._timeout = timeout
        self._display = display
        self._thread: WandbThread | None = None

    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        """Begin to log the run, or go on with it where there is history."""
        self._display.start(run, history)
        if self._mode != "disabled":
            self._folder = run.folder
            self._thread = WandbThread(partial(self._connect, run), history)

    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        """Display only."""
        self._display.progress(what, done, total, failed)

    def step(self, summary: StepSummary, picture: Path | None) -> None:
        """Log the step's numbers, its front and the picture, as it is now."""
        self._display.step(summary, picture)
        if self._thread is not None:
            self._thread.log(summary, _content(picture))

    def epoch(self, row: Mapping[str, float | None], new: bool) -> None:
        """Log the epoch's numbers."""
        self._display.epoch(row, new)
        if self._thread is not None:
            self._thread.log(row)

    def outcome(self, values: Mapping[str, float]) -> None:
        """Add the values to the run's summary."""
        self._display.outcome(values)
        if self._thread is not None:
            self._thread.log(Outcome(values))

    def finish(self, error: str | None) -> None:
        """Close the run, as failed where there was an error, so that the next run of this process is another one."""
        self._display.finish(error)
        thread, self._thread = self._thread, None
        if thread is None:
            return
        thread.end(error, 2 * self._timeout + SPARE_SECONDS)
        self.background_seconds = thread.seconds
        if not thread.complete:
            log.warning(
                "Weights & Biases did not get every step; once it can: "
                "python launch.py task=replay %s tracker=wandb tracker.mode=%s",
                typed("run", self._folder),
                self._mode,
            )

    def _connect(self, run: RunInfo) -> "WandbRun":
        """Open the run; that takes as long as it takes."""
        from nas.tracker.wandb_run import Place, WandbRun

        assert self._mode != "disabled"
        place = Place(self._mode, self._project, self._entity, self._tags, self._timeout)
        return WandbRun(place, run)


def _content(picture: Path | None) -> bytes | None:
    """Return what a file holds now; it is replaced with the next step."""
    try:
        return None if picture is None else picture.read_bytes()
    except OSError:
        return None
