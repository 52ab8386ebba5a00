"""The thread that logs a run to Weights & Biases, so that no server, however slow, keeps the run from going on."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic, thread_time
from typing import TYPE_CHECKING, final

from nas.run.results import StepSummary

if TYPE_CHECKING:
    from nas.tracker.wandb_run import WandbRun

RETRY_SECONDS = 30.0
"""Between two attempts at opening a run."""

POLL_SECONDS = 1.0
"""Between two looks at whether something is due, while no step comes."""

SETTLED_SECONDS = 3.0
"""After which what was logged is certainly on disk."""

ATTEMPTS_TO_CLOSE = 2
"""Where the service dies, the run is opened once more."""

log = logging.getLogger(__name__)


Epoch = Mapping[str, float | None]
"""A row of a fine-tuning's ``summary.csv``."""


@dataclass(frozen=True)
class Outcome:
    """What is known about the front of a finished search, by split and name."""

    values: Mapping[str, float]


@dataclass(frozen=True)
class _Item:
    """A step, with a PNG of the front, an epoch, or the outcome, that waits to be logged."""

    content: StepSummary | Epoch | Outcome
    picture: bytes | None

    def log(self, run: "WandbRun") -> None:
        """Log it."""
        if isinstance(self.content, StepSummary):
            run.log(self.content, self.picture)
        elif isinstance(self.content, Outcome):
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
        seconds: of computing that it took so far.
        complete: whether everything was logged, and uploaded where that was asked for; known at the end.
    """

    def __init__(self, connect: Callable[[], "WandbRun"], history: Sequence[StepSummary]) -> None:
        """Start.

        Args:
            connect: opens the run.
            history: what earlier processes completed.
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

    def log(self, content: StepSummary | Epoch | Outcome, picture: bytes | None = None) -> None:
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
