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
"""Of a step: the surrogate's, the optimizer's, the selector's, the training's and the evaluations' part."""


@dataclass(frozen=True)
class RunInfo:
    """Facts about a run that trackers are told at its start.

    Attributes:
        folder: The run folder.
        id: Stable identity of the run: a resumed run has the same.
        group: The settings without the seed, as a short name; runs that differ by the seed alone share it.
        name: The group and the seed.
        task: The kind of run, for example ``"search"``.
        tags: The choices that made the run, for example ``("digits", "tiny", "msunas")``.
        config: The resolved settings, plain values only.
        objectives: Objectives, in the archive's order.
        steps: Number of steps of the whole run.
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
    """Base class for trackers, which receive a run's progress: start, any mixture of the others, finish.

    A tracker never stops a search: what goes wrong in it is reported once and otherwise ignored (``harmless``).

    Attributes:
        reported: Whether an error of this tracker was logged already.
        background_seconds: Seconds of computing in the tracker's own threads; known at the end.

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
        """A run begins or goes on; ``history`` holds the steps that earlier processes completed."""

    @abstractmethod
    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        """``done`` of ``total`` parts of an activity are finished, ``failed`` of them without a result."""

    @abstractmethod
    def step(self, summary: StepSummary, picture: Path | None) -> None:
        """A step is complete and on disk; ``picture`` is a PNG of the front."""

    def epoch(self, row: Mapping[str, float | None], new: bool) -> None:  # noqa: B027
        """An epoch of a fine-tuning is on disk.

        Args:
            row: Row of ``summary.csv``: ``epoch``, 0 for measurements before the first one, and what is known.
            new: Whether this process has done it, and not one before.
        """

    def outcome(self, values: Mapping[str, float]) -> None:  # noqa: B027
        """The front of a finished search is measured.

        Args:
            values: By split and name, for example ``"test/top1_error"``; see :meth:`nas.run.results.Results.outcome`.
        """

    @abstractmethod
    def finish(self, error: str | None) -> None:
        """The run ends: well (``None``), or with an error's last line."""


@contextmanager
def told_end(tracker: Tracker) -> Iterator[None]:
    """Tell a tracker how the block ended: well, or with the last line of its error.

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
    """Keep a tracker method's errors away from the run: the tracker's first one is logged, all are ignored.

    Interrupts (Ctrl-C) are passed on.
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
