"""Launcher for SLURM: it submits the runs of a sweep as a job array."""

import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import final

import submitit
from submitit.core.utils import FailedJobError
from submitit.helpers import clean_env

from nas import slurm
from nas.errors import RunError, UserError
from nas.launcher.base import Launcher
from nas.launcher.supervision import Supervised
from nas.launcher.watch import POLL_SECONDS, Watch
from nas.run.folder import RunFolder
from nas.run.lease import holder, lease
from nas.run.status import last_line, slurm_job
from nas.sweep import PlannedRun, SweepFolder
from nas.types import NonNegativeInt, PositiveFloat, PositiveInt

_SIGNALS_SECONDS = 0.5  # SLURM signals the processes of a job one after the other; the run may get it first
_SOURCE = Path(__file__).parents[2]  # jobs import this copy of the package, whatever their working folder

_LEASE_SECONDS = 180.0
"""Maximum seconds that a job waits for another process that holds its run, possibly on a node that has failed."""

_SIGNAL_SLACK_SECONDS = 90.0
"""Tolerance for the time of SLURM's signal, which may come up to a minute early."""


@final
class Slurm(Launcher):
    """Launcher for SLURM. It submits runs through submitit and waits for them. Runs do not depend on this process.

    SLURM sends SIGUSR2 to a job that is preempted or close to its time limit. The run then stops and the job goes back
    into the queue. SLURM itself requeues jobs whose node fails, and ``scontrol requeue`` does so by hand. Each time the
    run resumes from its run folder.

    Submitit's own requeueing is not used, for three reasons. It rewrites the job's file during the short time before
    the end. In jobs below an hour it mistakes preemption for a time-out. It counts such preemptions as time-outs.

    Example:
        >>> from nas.launcher.base import Launcher
        >>> launcher = Slurm(partition="gpu", timeout_min=60, gpus_per_node=1, additional_parameters={"nice": 100})
        >>> isinstance(launcher, Launcher)
        True
    """

    def __init__(
        self,
        *,
        partition: str | None = None,
        timeout_min: PositiveInt = 1440,
        gpus_per_node: NonNegativeInt = 0,
        cpus_per_task: PositiveInt = 2,
        mem_gb: PositiveFloat | None = None,
        array_parallelism: PositiveInt = 100,
        requeue: bool = True,
        signal_delay_s: PositiveInt = 120,
        max_num_timeout: NonNegativeInt = 20,
        restarts: NonNegativeInt = 3,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        setup: tuple[str, ...] = (),
        additional_parameters: dict[str, str | int | bool],
    ) -> None:
        """Set the resources of a run; see ``conf/hydra/launcher/slurm.yaml``.

        Args:
            partition: Partition of the jobs; ``None`` for the cluster's default.
            timeout_min: Time limit of a job in minutes. A run may take several jobs.
            gpus_per_node: Number of GPUs of a run; 0 for none.
            cpus_per_task: Number of CPU cores of a run.
            mem_gb: Main memory of a run in GB; ``None`` for the cluster's default.
            array_parallelism: Maximum number of runs at a time.
            requeue: Whether SLURM requeues jobs after preemption and node failures.
            signal_delay_s: Seconds before a job's time limit at which its run is stopped.
            max_num_timeout: Maximum number of times that a run reaches its time limit and resumes in another job.
            restarts: Maximum number of restarts of a run that a signal kills, without a completed step in between.
            account: Account that SLURM charges; ``None`` for the cluster's default.
            qos: Quality of service; ``None`` for the cluster's default.
            constraint: Features that the nodes must have; ``None`` for any node.
            setup: Lines of shell script that run before a job.
            additional_parameters: Further options of ``sbatch`` by their long names.
        """
        source = f"export PYTHONPATH={shlex.quote(str(_SOURCE))}${{PYTHONPATH:+:$PYTHONPATH}}"
        parameters = {
            "partition": partition,
            "time": timeout_min,
            "gpus_per_node": gpus_per_node or None,
            "cpus_per_task": cpus_per_task,
            "mem": None if mem_gb is None else f"{round(1024 * mem_gb)}MB",
            "nodes": 1,
            "ntasks_per_node": 1,
            "array_parallelism": array_parallelism,
            "signal_delay_s": signal_delay_s,
            "account": account,
            "qos": qos,
            "constraint": constraint,
            "setup": [source, *setup],
            "additional_parameters": {"requeue" if requeue else "no-requeue": True} | additional_parameters,
        }
        self._parameters = {key: value for key, value in parameters.items() if value is not None}
        self._signal_delay_s = signal_delay_s
        self._max_num_timeout = max_num_timeout
        self._restarts = restarts

    def check(self) -> None:
        """Check that SLURM's commands exist on this machine.

        Raises:
            UserError: If they do not.
        """
        if not slurm.is_here():
            raise UserError(
                "hydra/launcher=slurm needs SLURM, and there is no sbatch here; on this machine: hydra/launcher=local"
            )

    def launch(self, sweep: SweepFolder, runs: Sequence[PlannedRun]) -> str:
        """Submit one job array.

        Raises:
            RunError: If SLURM rejects the jobs.
        """
        before = [RunFolder(run.folder).status.read() for run in runs]
        folder = sweep.path / "slurm"
        folder.mkdir(mode=0o700, exist_ok=True)  # private, because jobs execute the pickles in this folder
        executor = submitit.SlurmExecutor(folder / "%j", max_num_timeout=0)
        try:
            with _outside_jobs(), redirect_stderr(StringIO()):  # the error contains sbatch's message
                executor.update_parameters(job_name=sweep.path.name, **self._parameters)
                with executor.batch():
                    jobs = [executor.submit(self._job(run)) for run in runs]
        except (FailedJobError, OSError) as error:
            raise RunError(f"SLURM takes no jobs: {last_line(error)}") from error
        sweep.add_jobs({run.folder: job.job_id for run, job in zip(runs, jobs, strict=True)})
        for run, facts in zip(runs, before, strict=True):
            status = RunFolder(run.folder).status
            if status.read() == facts and holder(run.folder) is None:  # otherwise the job is already running
                status.write("queued", timeouts=0)
        return f"{len(runs)} runs submitted as SLURM job {jobs[0].job_id.partition('_')[0]}"

    def wait(self, sweep: SweepFolder) -> None:
        """Wait until SLURM has finished all jobs of the sweep; print steps and changes of state."""
        watch = Watch()
        while True:
            rows = sweep.rows()
            watch.show(rows)
            if not any(row.queued for row in rows):
                return
            time.sleep(POLL_SECONDS)

    def detach(self, sweep: SweepFolder, runs: Sequence[PlannedRun], command: Sequence[str]) -> str:
        """Submit the runs and return: jobs need no terminal."""
        with lease(sweep.path):
            return self.launch(sweep, runs)

    def _job(self, run: PlannedRun) -> "SlurmJob":
        return SlurmJob(run, self._restarts, self._signal_delay_s, self._max_num_timeout)


@contextmanager
def _outside_jobs() -> Iterator[None]:
    """Hide the environment variables of this process's own SLURM job; submitted jobs would inherit them."""
    if "SLURM_JOB_ID" not in os.environ:
        yield
        return
    conf = {name: os.environ[name] for name in ("SLURM_CONF",) if name in os.environ}
    with clean_env():
        os.environ.update(conf)
        yield


@dataclass(frozen=True)
class SlurmJob:
    """Picklable function that a SLURM job calls.

    Attributes:
        run: Planned run of the job.
        restarts, signal_delay_s, max_num_timeout: Settings of :class:`Slurm`.
    """

    run: PlannedRun
    restarts: int
    signal_delay_s: int
    max_num_timeout: int

    def __call__(self) -> None:
        """Execute the run and exit with its exit code. Requeue the job if it ends before the run."""
        child = Supervised(self.run, self.restarts, None)
        asked: list[int] = []

        def stop(number: int, _: FrameType | None) -> None:
            asked.append(number)
            child.stop()

        for number in (signal.SIGTERM, signal.SIGUSR2):  # in place of submitit's handlers
            signal.signal(number, stop)
        if not self._is_free():
            return
        code = child.run()
        if code:
            time.sleep(_SIGNALS_SECONDS)
        if signal.SIGUSR2 in asked and not RunFolder(self.run.folder).is_finished():
            self._requeue()
        sys.exit(code if code >= 0 else 128 - code)

    def _is_free(self) -> bool:
        """Wait for another process that holds the run; return false if it still holds the run after the time limit."""
        deadline = time.monotonic() + _LEASE_SECONDS
        while (owner := holder(self.run.folder)) is not None:
            if time.monotonic() > deadline:
                print(f"{self.run.folder} is in use by {owner}, who may go on with it", file=sys.stderr)
                return False
            time.sleep(1.0)
        return True

    def _requeue(self) -> None:
        job, status = slurm_job(), RunFolder(self.run.folder).status
        if job is None:
            return
        left = slurm.seconds_left(job)
        timeouts = int(status.read().get("timeouts", 0))
        if left is not None and left <= self.signal_delay_s + _SIGNAL_SLACK_SECONDS:
            timeouts += 1
        if timeouts > self.max_num_timeout:
            error = f"its jobs reached their time limit {timeouts} times (hydra.launcher.max_num_timeout)"
            status.write("interrupted", error=error, timeouts=timeouts)
            return
        status.write("queued", timeouts=timeouts)
        if not slurm.requeue(job, patience=self.signal_delay_s):
            status.write("interrupted", error="SLURM could not be asked to start it again")
