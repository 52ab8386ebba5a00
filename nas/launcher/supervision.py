"""Supervision of one run in a child process, which is restarted after a crash."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from nas.lifetime import signal_from_parent
from nas.run.folder import RunFolder
from nas.run.lease import holder
from nas.sweep import PlannedRun

_ASKED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
"""Signals with which users and SLURM stop runs. A death by any other signal counts as a crash."""


PARENT = "NAS_PARENT"
"""Environment variable with which a supervised process receives the process id of its supervisor."""


class Supervised:
    """Run in a child process.

    A process that a signal kills (out of memory, a crash, ``kill -9``) is restarted and resumes. It is not restarted
    after more than the allowed number of deaths without a completed step in between. A process that fails with an
    error or is asked to stop is never restarted. If the process could not write its end into ``status.json``, this
    class does.
    """

    def __init__(self, run: PlannedRun, restarts: int, log: Path | None) -> None:
        """Set the run; nothing is started.

        Args:
            run: Planned run.
            restarts: Maximum number of restarts without a completed step in between.
            log: File for the run's output; ``None`` for this process's own output.
        """
        self._run = run
        self._folder = RunFolder(run.folder)
        self._restarts = restarts
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._last_error = ""

    def run(self) -> int:
        """Run the child process to its end; return the exit code, or minus the number of the signal that killed it."""
        deaths, step = 0, None
        while True:
            code = self._once()
            if self._stopped or code >= 0 or -code in _ASKED:
                break
            before, step = step, self._folder.status.read().get("step")
            deaths = deaths + 1 if step == before else 1
            if deaths > self._restarts:
                break
            self._say(f"{self._run.label}: {_death(code)}; it is started again and goes on")
        self._note(code)
        return code

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Send the child process a signal to stop; :meth:`run` then returns. Signal handlers may call this method."""
        self._stopped = True
        if self._process is not None:
            self._process.send_signal(number)

    def _once(self) -> int:
        if self._stopped:
            return -signal.SIGTERM
        out = None if self._log is None else self._log.open("ab")
        try:
            self._process = subprocess.Popen(
                [*self._run.command],
                cwd=self._run.cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
                env=os.environ | {PARENT: str(os.getpid())},
                process_group=0,  # Ctrl-C reaches only this process, which passes it on
            )
            assert self._process.stderr is not None
            echo = threading.Thread(target=self._echo, args=(self._process.stderr, out), daemon=True)
            echo.start()
            code = self._process.wait()
            echo.join(1.0)  # a worker process of the run may keep the pipe open
            return code
        finally:
            if out is not None:
                out.close()

    def _echo(self, lines: IO[bytes], out: IO[bytes] | None) -> None:
        """Pass lines of standard error on and remember the last one."""
        with lines:
            for line in lines:
                self._last_error = line.decode(errors="replace").strip() or self._last_error
                if out is None:
                    sys.stderr.write(line.decode(errors="replace"))
                    sys.stderr.flush()
                elif not out.closed:
                    out.write(line)
                    out.flush()

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def _note(self, code: int) -> None:
        """Write the end of the run into its status, unless the run did so or another process has resumed it."""
        said = self._folder.status.read().get("state")
        if code == 0 or said in ("finished", "failed", "interrupted") or holder(self._run.folder) is not None:
            return
        if self._stopped or -code in _ASKED:
            self._folder.status.write("interrupted", error="stopped")
        elif code < 0:
            self._folder.status.write("failed", error=_death(code))
        else:
            self._folder.status.write("failed", error=self._last_error.removeprefix("error: ") or f"exit code {code}")


def _death(code: int) -> str:
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (out of memory?)" if -code == signal.SIGKILL else ""
    return f"killed by {name}{hint}"


def stop_with_watcher() -> None:
    """Let the system send this process SIGTERM when its supervisor dies; do nothing without a supervisor.

    Otherwise the run would continue unnoticed outside its SLURM job. Linux only.
    """
    parent = os.environ.pop(PARENT, None)
    if parent is None or sys.platform != "linux":
        return
    signal_from_parent(signal.SIGTERM)
    if os.getppid() != int(parent):  # the supervisor died before the request
        os.kill(os.getpid(), signal.SIGTERM)
