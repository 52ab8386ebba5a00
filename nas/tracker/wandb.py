"""Progress as runs of Weights & Biases, logged by a thread: no server, however slow, keeps the run from going on."""

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
"""Between two attempts at opening a run."""

POLL_SECONDS = 1.0
"""Between two looks at whether something is due, while no step comes."""

SETTLED_SECONDS = 3.0
"""After which what was logged is certainly on disk."""

SPARE_SECONDS = 5.0
"""That the end may take beside the two timeouts, of opening the run and of the upload that is left."""

ATTEMPTS_TO_CLOSE = 2
"""Where the service dies, the run is opened once more."""

log = logging.getLogger(__name__)


_Epoch = Mapping[str, float | None]
"""A row of a fine-tuning's ``summary.csv``."""


@dataclass(frozen=True)
class _Outcome:
    """Results of the front of a finished search, by split and name."""

    values: Mapping[str, float]


@dataclass(frozen=True)
class _Item:
    """A step, with a PNG of the front, an epoch, or the outcome, that waits to be logged."""

    content: StepSummary | _Epoch | _Outcome
    picture: bytes | None

    def log(self, run: "WandbRun") -> None:
        """Log it."""
        if isinstance(self.content, StepSummary):
            run.log(self.content, self.picture)
        elif isinstance(self.content, _Outcome):
            run.log_outcome(self.content.values)
        else:
            run.log_epoch(self.content)


@dataclass(frozen=True)
class _End:
    """The end of the run: well, or with an error's last line."""

    error: str | None


@final
class WandbThread:
    """Opens a run, logs its steps and closes it; what cannot be reached is tried again, and steps wait meanwhile.

    Attributes:
        seconds: Seconds of computing so far.
        complete: Whether everything was logged, and uploaded where that was asked for; known at the end.
    """

    def __init__(self, connect: Callable[[], "WandbRun"], history: Sequence[StepSummary]) -> None:
        """Start.

        Args:
            connect: Opens the run.
            history: Steps that earlier processes completed.
        """
        self.seconds = 0.0
        self.complete = False
        self._connect = connect
        self._run: WandbRun | None = None
        self._waiting = deque(_Item(summary, None) for summary in history)
        self._logged: list[_Item] = []
        self._lost = False
        self._reported = False
        self._attempt = 0.0  # when the run is to be opened
        self._opened = 0.0  # since when it is
        self._queue: SimpleQueue[_Item | _End] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="wandb", daemon=True)
        self._thread.start()

    def log(self, content: StepSummary | _Epoch | _Outcome, picture: bytes | None = None) -> None:
        """Log a step, with a PNG of the front, an epoch, or the outcome; returns at once."""
        self._queue.put(_Item(content, picture))

    def end(self, error: str | None, timeout: float) -> None:
        """Close the run and wait for that, at most ``timeout`` seconds."""
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
        """Open the run where that is due, and log what waits."""
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
        """Log what waits and close the run; whether there is nothing left to try."""
        self._attempt = 0.0
        self._advance()
        if self._run is None:
            return self._attempt > 0  # it cannot be opened
        failure = self._try(partial(self._run.close, end.error))
        if isinstance(failure, ConnectionError):
            self._abandon(self._run)
            return False
        self.complete = failure is None and not self._lost
        if self.complete:
            self._try(self._run.remove_superseded)
        return True

    def _abandon(self, run: "WandbRun") -> None:
        """Give up a run whose service is gone: it is opened anew, and everything is logged again as far as need be."""
        self._run = None
        self._waiting = deque([*self._logged, *self._waiting])
        self._logged = []
        self._try(run.abandon)

    def _try(self, action: Callable[[], None]) -> Exception | None:
        """Do something and return how it failed, if it did; the first error is logged, none reaches the run."""
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
    """Tracker that logs every step to Weights & Biases and passes all calls on to a second tracker for the screen.

    A run keeps its id when it is resumed. Offline, the new process logs all steps again, into a folder that takes the
    place of the one that the last process left below ``<run folder>/wandb``, which may lack its last seconds:
    ``wandb sync`` uploads every step once. Online, it logs what the server lacks. The metrics are those of
    ``StepSummary`` over ``step``: ``best/<objective>``, ``seconds/<activity>``, a table ``front`` and the picture
    ``front_picture``. Beside the settings, the configuration has ``box``, which hypervolumes are a share of, ``about``
    and ``git``; the summary of a finished run has what is known on the test split, ``test/...``. The settings win over
    environment variables, but for the credentials, the server's address, and the entity where it is not set.

    All of this happens in a thread, so that no server, however slow, keeps the run from going on; one that is away is
    tried again. Failures never stop a run: the first is logged, and the run goes on.

    Example:
        >>> issubclass(WandbTracker, Tracker)
        True
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
        """Choose where runs are logged.

        Args:
            mode: ``"offline"`` writes to the run folder, ``"online"`` uploads as well, ``"disabled"`` only displays.
            project: Name of the project.
            entity: User or team; ``None`` for the account's default.
            tags: Tags of the runs in addition to the names of their parts.
            timeout: Time limit of connecting, and of the upload at the end, in seconds each.
            display: Receives every call too.
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
            self._thread.log(_Outcome(values))

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
                "Weights & Biases did not get every step; once it can: %s task=replay %s tracker=wandb tracker.mode=%s",
                program(),
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
