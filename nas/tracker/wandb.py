"""Tracker for Weights & Biases. A thread logs the run, so that a slow server does not delay it."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic, thread_time
from typing import TYPE_CHECKING, Literal, final

from nas.errors import program, typed
from nas.run.results import StepSummary
from nas.tracker.base import RunInfo, Tracker
from nas.types import Seconds

if TYPE_CHECKING:
    from nas.tracker.wandb_run import WandbRun

RETRY_SECONDS = 30.0
"""Seconds between two attempts to open a run."""

POLL_SECONDS = 1.0
"""Interval at which the thread checks for due work while no step arrives."""

SETTLED_SECONDS = 3.0
"""Seconds after which logged steps are certainly on disk."""

SPARE_SECONDS = 5.0
"""Seconds that the end may take in addition to two timeouts: one to open the run, one for the remaining upload."""

ATTEMPTS_TO_CLOSE = 2
"""Number of attempts to close a run. If wandb's service process dies, the run is opened once more."""

log = logging.getLogger(__name__)


_Epoch = Mapping[str, float | None]
"""A row of a fine-tuning's ``summary.csv``."""


@dataclass(frozen=True)
class _Outcome:
    """Results of a finished search's front, by split and name."""

    values: Mapping[str, float]


@dataclass(frozen=True)
class _Item:
    """Step with a PNG of the front, epoch or outcome in the queue."""

    content: StepSummary | _Epoch | _Outcome
    picture: bytes | None

    def log(self, run: "WandbRun") -> None:
        """Log the content to a run."""
        if isinstance(self.content, StepSummary):
            run.log(self.content, self.picture)
        elif isinstance(self.content, _Outcome):
            run.log_outcome(self.content.values)
        else:
            run.log_epoch(self.content)


@dataclass(frozen=True)
class _End:
    """End of the run, with the last line of its error; ``None`` without an error."""

    error: str | None


@final
class WandbThread:
    """Thread that opens a run, logs its steps and closes it.

    If the server cannot be reached, the thread tries again every ``RETRY_SECONDS`` and keeps the steps in a queue.

    Attributes:
        seconds: Processor seconds of the thread so far.
        complete: Whether everything was logged, and uploaded in online mode; known after :meth:`end`.
    """

    def __init__(self, connect: Callable[[], "WandbRun"], history: Sequence[StepSummary]) -> None:
        """Start the thread.

        Args:
            connect: Function that opens the run; it may block.
            history: Summaries of the steps that earlier processes completed.
        """
        self.seconds = 0.0
        self.complete = False
        self._connect = connect
        self._run: WandbRun | None = None
        self._waiting = deque(_Item(summary, None) for summary in history)
        self._logged: list[_Item] = []
        self._lost = False
        self._reported = False
        self._attempt = 0.0  # time of the next attempt to open the run
        self._opened = 0.0  # time at which the run was opened
        self._queue: SimpleQueue[_Item | _End] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="wandb", daemon=True)
        self._thread.start()

    def log(self, content: StepSummary | _Epoch | _Outcome, picture: bytes | None = None) -> None:
        """Put a step with a PNG of the front, an epoch or the outcome into the queue; do not wait."""
        self._queue.put(_Item(content, picture))

    def end(self, error: str | None, timeout: float) -> None:
        """Close the run and wait until it is closed, at most ``timeout`` seconds.

        Args:
            error: Last line of the run's error; ``None`` without one.
            timeout: Time limit in seconds.
        """
        self._queue.put(_End(error))
        self._thread.join(timeout)

    def _serve(self) -> None:
        end: _End | None = None
        while end is None:
            self._advance()
            self.seconds = thread_time()
            try:
                item = self._queue.get(timeout=POLL_SECONDS)
            except Empty:
                continue
            if isinstance(item, _Item):
                self._waiting.append(item)
            else:
                end = item
        for _ in range(ATTEMPTS_TO_CLOSE):
            if self._close(end):
                break
        self.seconds = thread_time()

    def _advance(self) -> None:
        """Open the run if an attempt is due, and log the queue."""
        now = monotonic()
        if self._run is None and now >= self._attempt:
            self._attempt = now + RETRY_SECONDS
            self._try(self._open)
        while self._run is not None and self._waiting:
            item = self._waiting[0]
            failure = self._try(partial(item.log, self._run))
            if isinstance(failure, ConnectionError):
                self._abandon(self._run)
                return
            self._lost |= failure is not None
            self._logged.append(self._waiting.popleft())
        if self._run is not None and not self._lost and monotonic() - self._opened > SETTLED_SECONDS:
            self._try(self._run.remove_superseded)

    def _open(self) -> None:
        self._run = self._connect()
        self._opened = monotonic()

    def _close(self, end: _End) -> bool:
        """Log the queue and close the run; return whether no further attempt is useful."""
        self._attempt = 0.0
        self._advance()
        if self._run is None:
            return self._attempt > 0  # the attempt to open the run failed
        failure = self._try(partial(self._run.close, end.error))
        if isinstance(failure, ConnectionError):
            self._abandon(self._run)
            return False
        self.complete = failure is None and not self._lost
        if self.complete:
            self._try(self._run.remove_superseded)
        return True

    def _abandon(self, run: "WandbRun") -> None:
        """Give up a run whose wandb service died; put logged items back into the queue for the next attempt."""
        self._run = None
        self._waiting = deque([*self._logged, *self._waiting])
        self._logged = []
        self._try(run.abandon)

    def _try(self, action: Callable[[], None]) -> Exception | None:
        """Call a function and return its exception, if any. The first exception is logged; none reaches the run."""
        try:
            action()
        except Exception as error:
            if not self._reported:
                self._reported = True
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                log.warning("Weights & Biases failed, the run goes on (%s)", reason)
            return error
        return None


@final
class WandbTracker(Tracker):
    """Tracker that logs every step to Weights & Biases and passes all calls to a second tracker for the screen.

    The metrics are those of ``StepSummary``, over ``step``: among them ``best/<objective>``, ``seconds/<activity>``, a
    table ``front`` and the picture ``front_picture``. The configuration contains the settings, the hypervolume box
    ``box``, ``about`` and ``git``. The summary of a finished run contains its results on the test split, ``test/...``.

    A resumed run keeps its id. Offline, the new process logs all steps again into a new folder below
    ``<run folder>/wandb``. That folder replaces the one of the last process, which may lack its last seconds, so
    ``wandb sync`` uploads every step once. Online, the new process logs only the steps that the server lacks.

    The settings override environment variables, except for the credentials, the server's address, and the entity if
    ``entity`` is ``None``.

    A thread does all of this, so that a slow server does not delay the run. It tries again if the server is not
    reachable. Failures never stop a run; the first one is logged.

    Example:
        >>> from nas.tracker.csv import CsvTracker
        >>> tracker = WandbTracker(mode="disabled", project="demo", display=CsvTracker())
        >>> tracker.progress("evaluating step 0", 1, 8)  # the display receives it
        >>> tracker.background_seconds
        0.0
    """

    def __init__(
        self,
        *,
        mode: Literal["offline", "online", "disabled"] = "offline",
        project: str = "nas",
        entity: str | None = None,
        tags: tuple[str, ...] = (),
        timeout: Seconds = 30.0,
        display: Tracker,
    ) -> None:
        """Set the project and the mode.

        Args:
            mode: Mode of logging: ``"offline"`` writes to the run folder, ``"online"`` also uploads, ``"disabled"``
                only displays.
            project: Name of the project.
            entity: User or team; ``None`` for the account's default.
            tags: Tags of the runs in addition to the names of their parts.
            timeout: Time limit in seconds for connecting, and for the upload at the end.
            display: Tracker for the screen, which receives every call.
        """
        self._mode = mode
        self._project = project
        self._entity = entity
        self._tags = tags
        self._timeout = timeout
        self._display = display
        self._thread: WandbThread | None = None

    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        """Start to log the run, or resume it if there is history."""
        self._display.start(run, history)
        if self._mode != "disabled":
            self._folder = run.folder
            self._thread = WandbThread(partial(self._connect, run), history)

    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        """Pass the progress to the display; it is not logged."""
        self._display.progress(what, done, total, failed)

    def step(self, summary: StepSummary, picture: Path | None) -> None:
        """Log the step's numbers, its front and the present content of the picture."""
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
            self._thread.log(_Outcome(values))

    def finish(self, error: str | None) -> None:
        """Close the run, marked as failed after an error. A later run of this process is a new one."""
        self._display.finish(error)
        thread, self._thread = self._thread, None
        if thread is None:
            return
        thread.end(error, 2 * self._timeout + SPARE_SECONDS)
        self.background_seconds = thread.seconds
        if not thread.complete:
            log.warning(
                "Weights & Biases did not get every step; once it can: %s task=replay %s tracker=wandb tracker.mode=%s",
                program(),
                typed("run", self._folder),
                self._mode,
            )

    def _connect(self, run: RunInfo) -> "WandbRun":
        """Open the run; this may block."""
        from nas.tracker.wandb_run import Place, WandbRun

        assert self._mode != "disabled"
        place = Place(self._mode, self._project, self._entity, self._tags, self._timeout)
        return WandbRun(place, run)


def _content(picture: Path | None) -> bytes | None:
    """Return the content of a file now, because the next step replaces it; ``None`` without a readable file."""
    try:
        return None if picture is None else picture.read_bytes()
    except OSError:
        return None
