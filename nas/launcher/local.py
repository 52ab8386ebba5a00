"""Launcher for this machine: it runs one run of a sweep at a time, or several."""

import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import final

from nas.errors import InUseError, RunError
from nas.launcher.base import Launcher
from nas.launcher.supervision import Supervised
from nas.launcher.watch import watched
from nas.run.folder import RunFolder
from nas.run.lease import holder
from nas.sweep import PlannedRun, SweepFolder
from nas.types import NonNegativeInt, PositiveInt


@final
class Local(Launcher):
    """Launcher for this machine. It starts the next run when one ends. Runs end with this process and can be resumed.

    Example:
        >>> Local(workers=2, restarts=1).check()
    """

    def __init__(self, *, workers: PositiveInt = 1, restarts: NonNegativeInt = 3) -> None:
        """Set the number of runs at a time.

        Args:
            workers: Number of runs at a time; with two or more, their output goes to ``logs`` in the sweep's folder.
                This process then prints one line per step.
            restarts: Maximum number of restarts of a run that a signal kills, without a completed step in between.
        """
        self._workers = workers
        self._restarts = restarts

    def check(self) -> None:
        """Do nothing: this machine can always start runs."""

    def launch(self, sweep: SweepFolder, runs: Sequence[PlannedRun]) -> str:
        """Run all runs to their end."""
        children = [Supervised(run, self._restarts, self._log(sweep.path, run)) for run in runs]
        said = nullcontext() if self._workers == 1 else watched(sweep)
        with said, ThreadPoolExecutor(self._workers, thread_name_prefix="run") as pool, _stopping(children):
            futures = [pool.submit(_run, run, child) for run, child in zip(runs, children, strict=True)]
            for future in futures:
                future.result()
        return f"{len(runs)} runs started here"

    def wait(self, sweep: SweepFolder) -> None:
        """Return at once: :meth:`launch` has already waited for the runs."""

    def detach(self, sweep: SweepFolder, runs: Sequence[PlannedRun], command: Sequence[str]) -> str:
        """Start the command in a process without a terminal. Its output goes to ``launcher.log`` in the sweep's folder.

        Raises:
            RunError: If the process ends with an unexpected exit code before it takes the sweep's folder.
        """
        log = sweep.path / "launcher.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                [*command], stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )
        while process.poll() is None and holder(sweep.path) is None:  # it checks the runs before it takes the folder
            threading.Event().wait(0.1)
        if process.returncode not in (None, 0, 1):
            raise RunError(f"the sweep could not be started, see {log}")
        process.returncode = process.returncode or 0  # avoids subprocess's warning about a process that still runs
        return f"{len(runs)} runs go on as process {process.pid}, which prints into {log}"

    def _log(self, folder: Path, run: PlannedRun) -> Path | None:
        if self._workers == 1:
            return None
        (folder / "logs").mkdir(exist_ok=True)
        return folder / "logs" / f"{re.sub(r'[^A-Za-z0-9_.=-]+', '_', run.label)}.log"


def _run(run: PlannedRun, child: Supervised) -> None:
    try:
        RunFolder(run.folder).check_free()
    except InUseError:
        return  # another process has started the run in the meantime
    child.run()


@contextmanager
def _stopping(children: Sequence[Supervised]) -> Iterator[None]:
    """Stop all child processes when this process receives SIGTERM or Ctrl-C, and exit with the signal's code."""

    def stop(number: int, _: FrameType | None) -> None:
        for child in children:
            child.stop()
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        for child in children:
            child.stop(signal.SIGINT)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
