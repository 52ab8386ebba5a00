"""Base class for trackers, which report a run's progress."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from nas.run.results import StepSummary
from nas.types import Measure

log = logging.getLogger(__name__)

ACTIVITIES = ("fit", "search", "select", "train", "evaluate")
"""Activities of a step, in order: those of the surrogate, optimizer, selector, training and evaluator."""


@dataclass(frozen=True)
class RunInfo:
    """Facts about a run that trackers receive at its start.

    Attributes:
        folder: Run folder.
        id: Stable identifier of the run. A resumed run has the same one.
        group: Short name of the settings without the seed, shared by runs that differ only in the seed.
        name: Group and seed, ``"<group>-seed<seed>"``.
        task: Kind of run, for example ``"search"``.
        tags: Choices of the main settings, for example ``("digits", "tiny", "msunas")``.
        config: Resolved settings, plain values only.
        objectives: Objectives, in the archive's order.
        steps: Number of steps of the whole run, the initial design included; of a fine-tuning, epochs + 1.
        evaluations: Number of evaluations of the whole run.
        about: Descriptions of the search by topic, for example ``"data"``.
        revision: Git revision of the program; ``None`` if unknown.
    """

    folder: Path
    id: str
    group: str
    name: str
    task: str
    tags: tuple[str, ...]
    config: Mapping[str, Any]
    objectives: Sequence[Measure]
    steps: int
    evaluations: int
    about: Mapping[str, str] = field(default_factory=dict)
    revision: str | None = None


class Tracker(ABC):
    """Base class for trackers, which receive a run's progress.

    A run calls ``start`` once, then the other methods in any order, and ``finish`` once at the end. An error in a
    tracker must not stop the run: decorate methods with :func:`harmless`, which logs the first error and ignores all.

    Attributes:
        reported: Whether an error of this tracker was already logged.
        background_seconds: Processor seconds of the tracker's own threads, known after ``finish``.

    Example:
        >>> class Printer(Tracker):
        ...     def start(self, run, history): ...
        ...     def progress(self, what, done, total, failed=0): ...
        ...     def step(self, summary, picture):
        ...         print(f"step {summary.step}: hypervolume {summary.hypervolume:.3f}")
        ...     def finish(self, error): ...
        >>> Printer().finish(None)
    """

    reported: bool = False
    background_seconds: float = 0.0

    @abstractmethod
    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        """Handle the start or resumption of a run.

        Args:
            run: Facts about the run.
            history: Summaries of the steps that earlier processes completed.
        """

    @abstractmethod
    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        """Handle progress within a step.

        Args:
            what: Name of the activity.
            done: Number of finished items, failed ones included.
            total: Number of items of the activity.
            failed: Number of items without a result.
        """

    @abstractmethod
    def step(self, summary: StepSummary, picture: Path | None) -> None:
        """Handle a step that is complete and on disk.

        Args:
            summary: Summary of the step.
            picture: PNG file of the front; ``None`` without one.
        """

    def epoch(self, row: Mapping[str, float | None], new: bool) -> None:  # noqa: B027
        """Handle an epoch of a fine-tuning that is on disk.

        Args:
            row: Row of ``summary.csv``. ``epoch`` is 0 for the measurement before the training; unknown values are
                ``None``.
            new: Whether this process ran the epoch, not an earlier one.
        """

    def outcome(self, values: Mapping[str, float]) -> None:  # noqa: B027
        """Handle the final measurements of a finished search's front.

        Args:
            values: Values by split and name, for example ``"test/top1_error"``; see
                :meth:`nas.run.results.Results.outcome`.
        """

    @abstractmethod
    def finish(self, error: str | None) -> None:
        """Handle the end of the run.

        Args:
            error: Last line of the error that ended the run; ``None`` if the run finished.
        """


@contextmanager
def told_end(tracker: Tracker) -> Iterator[None]:
    """Call the tracker's ``finish`` after the block: with ``None``, or with the text of the exception that ended it.

    Example:
        >>> class Printer(Tracker):
        ...     def start(self, run, history): ...
        ...     def progress(self, what, done, total, failed=0): ...
        ...     def step(self, summary, picture): ...
        ...     def finish(self, error):
        ...         print(error)
        >>> with told_end(Printer()):
        ...     pass
        None
    """
    error: str | None = "killed"
    try:
        yield
        error = None
    except BaseException as exception:
        error = f"{type(exception).__name__}: {exception}".strip()
        raise
    finally:
        tracker.finish(error)


T = TypeVar("T", bound=Tracker)
P = ParamSpec("P")


def harmless(method: Callable[Concatenate[T, P], None]) -> Callable[Concatenate[T, P], None]:
    """Decorate a tracker's method so that its exceptions do not reach the run. The tracker's first one is logged.

    Interrupts (Ctrl-C) are raised as usual.

    Example:
        >>> class Broken:
        ...     reported = True  # an error was logged before
        ...     @harmless
        ...     def finish(self, error):
        ...         raise OSError("disk full")
        >>> Broken().finish(None)
    """

    @wraps(method)
    def guarded(self: T, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:
            if not self.reported:
                self.reported = True
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                log.warning("%s failed, the run goes on without it (%s)", type(self).__name__, reason)

    return guarded
