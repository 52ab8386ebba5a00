"""Runs of a sweep on SLURM, and everything that may happen to them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nas.sweep import RunRow, SweepFolder
from tests import cluster

ROOT = Path(__file__).parent.parent
WAIT_SECONDS = 1800.0  # for the next run to strike
SHARES = (0.0, 0.2, 0.4)  # of its steps that a run completes before the first, the second, ... strike
SLURM = (
    "hydra/launcher=slurm",
    "hydra.launcher.cpus_per_task=1",
    "hydra.launcher.mem_gb=2",
    "hydra.launcher.signal_delay_s=55",
    "executor=process",
    "executor.cpu_workers=1",
)


@dataclass(frozen=True)
class Strike:
    """A fault that happened.

    Attributes:
        fault: its name.
        how: the command or the signal.
        runs: labels of the runs that it struck, with the step each had completed.
        time: when, as runs record their starts.
    """

    fault: str
    how: str
    runs: dict[str, int]
    time: str


class DisturbedSweep:
    """One sweep on SLURM, its faults, and the same sweep undisturbed."""

    def __init__(self, folder: Path, settings: Sequence[str], seeds: int) -> None:
        self._folder = folder
        self._settings = (f"seed=range({seeds})", *settings)
        self._environment = os.environ | cluster.ENVIRONMENT
        self.strikes: list[Strike] = []

    def launch(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "launch.py"), "-m", *self._settings, *arguments]
        return subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True, check=False
        )

    def undisturbed(self) -> dict[str, bytes]:
        """Return the archives of the same runs, on this machine, without SLURM, workers and faults."""
        done = self.launch("paths.outputs=undisturbed", "tracker=csv", "hydra/launcher=basic")
        assert done.returncode == 0, done.stderr
        return archives(self._folder / "undisturbed")

    def disturb(self) -> None:
        """Start the sweep in a terminal, and let everything happen that may."""
        terminal, inside = os.openpty()
        own = ["env", "--default-signal=HUP", "setsid", "--ctty"]
        launcher = subprocess.Popen(
            [*own, sys.executable, str(ROOT / "launch.py"), "-m", *self._settings, *SLURM],
            cwd=self._folder, env=self._environment, stdin=inside, stdout=inside, stderr=inside,
        )  # fmt: skip
        os.close(inside)
        self._strike("launching terminal gone", "SIGHUP", lambda row: os.close(terminal))
        launcher.terminate()  # which goes on without its terminal
        launcher.wait(timeout=60)
        slurm = cluster.slurm
        faults: list[tuple[str, str, Callable[[RunRow], object]]] = [
            ("a worker of a run killed", "kill -9", lambda row: os.kill(worker_of(pid_of(row)), signal.SIGKILL)),
            ("a run's process killed", "kill -9", lambda row: os.kill(pid_of(row), signal.SIGKILL)),
            ("end of the job announced", "scancel --signal=USR2", lambda row: self._cancel(row, "--signal=USR2")),
            (
                "job requeued from outside",
                "scontrol requeue",
                lambda row: slurm("scontrol", "requeue", job(row)),
            ),
            ("a job's process killed", "kill -9", lambda row: os.kill(parent_of(pid_of(row)), signal.SIGKILL)),
            ("job cancelled", "scancel", self._cancel),
        ]
        for fault in faults:
            self._strike(*fault)
        self._strike("time-out", "scontrol update TimeLimit=1", self._time_out)
        self._strike("preemption by another partition", "sbatch --partition=urgent", self._preempt, all_of=True)
        self._strike("node failure", "scontrol update State=DOWN", self._fail_node, all_of=True)
        self._strike("controller away while a job's end is announced", "scontrol shutdown", self._without_controller)

    def finish(self) -> subprocess.CompletedProcess[str]:
        """Wait until SLURM has done with all jobs, then run the same command once more."""
        cluster.until(lambda: not any(row.queued for row in self._rows()), WAIT_SECONDS)
        self.again = now()
        return self.launch(*SLURM)

    def archives(self) -> dict[str, bytes]:
        return archives(self._folder / "outputs")

    def wandb_ids(self) -> dict[str, set[str]]:
        """Return the identities of all of a run's folders of wandb, by run."""
        return {
            row.label: {path.name.rpartition("-")[2] for path in row.folder.glob("wandb/offline-run-*")}
            for row in self._rows()
        }

    def table(self) -> str:
        """Return the faults as a table: what happened, to whom, and how each run went on."""
        lines = ["| fault | by | struck, after step | went on |", "|---|---|---|---|"]
        rows = {row.label: row for row in self._rows()}
        for strike in self.strikes:
            struck = ", ".join(f"{label} ({step})" for label, step in strike.runs.items())
            went_on = {self._went_on(rows[label], strike) for label in strike.runs}
            lines.append(f"| {strike.fault} | `{strike.how}` | {struck} | {', '.join(sorted(went_on))} |")
        return "\n".join(lines)

    def _went_on(self, row: RunRow, strike: Strike) -> str:
        starts = [start["time"] for start in json.loads((row.folder / "run.json").read_text())["starts"]]
        later = [time for time in starts if time > strike.time]
        if not later:
            return "the run's process did not end"
        return "by itself, started again" if later[0] < self.again else "with the same command"

    def _rows(self) -> list[RunRow]:
        (record,) = (self._folder / "outputs").glob("sweeps/*/sweep.json")
        return SweepFolder(record.parent).rows()

    def _strike(self, fault: str, how: str, act: Callable[[RunRow], object], all_of: bool = False) -> None:
        """Choose a run that was struck least, has completed a step and has some to go, and strike."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            assert time.monotonic() < deadline, f"no run to strike: {fault}"
            time.sleep(0.2)
            if not list((self._folder / "outputs").glob("sweeps/*/sweep.json")):
                continue
            share = SHARES[len(self.strikes) % len(SHARES)]
            rows = [row for row in self._rows() if row.state == "running" and may_strike(row, share)]
            rows.sort(key=lambda row: sum(row.label in strike.runs for strike in self.strikes))
            if not rows:
                continue
            struck = {row.label: int(row.facts.get("step", -1)) for row in (rows if all_of else rows[:1])}
            when = now()
            time.sleep(1.0)  # starts are recorded to the second
            try:
                done = act(rows[0])
            except (LookupError, ProcessLookupError):
                continue  # it ended meanwhile
            if done is not False:
                self.strikes.append(Strike(fault, how, struck, when))
                return

    def _cancel(self, row: RunRow, *options: str) -> None:
        """Send a signal; scancel asks again and again about a job that is ending meanwhile, and is not waited for."""
        with suppress(subprocess.TimeoutExpired):
            cluster.slurm("scancel", *options, job(row), seconds=10)

    def _time_out(self, row: RunRow) -> bool:
        """Set the least limit; SLURM looks at limits twice a minute, so that the run may end before."""
        pid = pid_of(row)
        cluster.slurm("scontrol", "update", f"JobId={job(row)}", "TimeLimit=1")
        cluster.until(lambda: not alive(pid))
        cluster.slurm("scontrol", "update", f"JobId={job(row)}", "TimeLimit=600", check=False)  # once is enough
        return not json.loads((row.folder / "front.json").read_text())["finished"]

    def _preempt(self, _: RunRow) -> None:
        urgent = ("--partition=urgent", "--cpus-per-task=2", "--mem=100", "--output=/dev/null", "--wait")
        cluster.slurm("sbatch", *urgent, "--wrap=sleep 2")

    def _fail_node(self, _: RunRow) -> None:
        cluster.slurm("scontrol", "update", "NodeName=localhost", "State=DOWN", "Reason=test")
        cluster.until(lambda: not any(row.state == "running" for row in self._rows()))
        cluster.slurm("scontrol", "update", "NodeName=localhost", "State=RESUME", check=False)  # or it is back already

    def _without_controller(self, row: RunRow) -> None:
        pid = pid_of(row)
        cluster.stop_controller()
        try:
            os.kill(parent_of(pid), signal.SIGUSR2)
            cluster.until(lambda: not alive(pid))
        finally:
            cluster.start_controller()


def may_strike(row: RunRow, share: float) -> bool:
    """Whether a run is in the middle: its process has begun, that share of its steps is complete, some are left."""
    step, steps = row.facts.get("step", -1), row.facts.get("steps", 0)
    runs = row.folder / f"iter_{step}.stats"
    begun = (row.folder / "run.json").stat().st_mtime if (row.folder / "run.json").exists() else float("inf")
    return bool(share * steps <= step < steps - 3 and runs.exists() and runs.stat().st_mtime > begun)


def job(row: RunRow) -> str:
    if row.job is None:
        raise LookupError("no job")
    return row.job


def pid_of(row: RunRow) -> int:
    return int(row.facts["pid"])


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def worker_of(pid: int) -> int:
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if parent_of(int(path.name)) == pid and b"spawn_main" in (path / "cmdline").read_bytes():
                return int(path.name)
        except OSError:
            continue
    raise LookupError("no worker")


def archives(outputs: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in outputs.glob("*/seed_*/archive.jsonl")}


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
