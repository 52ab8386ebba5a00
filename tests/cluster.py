"""SLURM on this machine for tests: ``make test-slow`` starts one with ``../shared/tools/slurm-loopback.sh``."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

HOME = Path(os.environ.get("SLURM_CONF", "/tmp/slurm-lo/slurm.conf")).parent
ENVIRONMENT = {"SLURM_CONF": str(HOME / "slurm.conf"), "OMP_NUM_THREADS": "1"}


def slurm(*command: str, check: bool = True, seconds: float = 120.0) -> str:
    """Return what a command of SLURM prints."""
    environment = os.environ | ENVIRONMENT
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=seconds)
    if check and done.returncode:
        raise AssertionError(f"{command}: {done.stderr}")
    return done.stdout.strip()


def missing() -> str | None:
    """Return why there is no SLURM with a partition for urgent jobs; ``None`` where there is one."""
    try:
        return None if "urgent" in slurm("sinfo", "-h", "-o", "%P") else "this SLURM is not the loopback script's"
    except (OSError, AssertionError, subprocess.TimeoutExpired):
        return "needs SLURM: `make test-slow` starts it where ../shared/tools/slurm-loopback.sh is"


@contextmanager
def alone() -> Iterator[None]:
    """Use SLURM without other tests: one stops its controller, and its node has two cores."""
    with FileLock(HOME.with_suffix(".tests.lock")), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", ENVIRONMENT["SLURM_CONF"])
        yield


def until(condition: Callable[[], object], seconds: float = 120.0, every: float = 0.3) -> None:
    """Wait for something."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited for {seconds} s in vain"
        time.sleep(every)


def stop_controller() -> None:
    """Stop SLURM's controller; jobs go on."""
    pid = int((HOME / "slurmctld.pid").read_text())
    slurm("scontrol", "shutdown", "slurmctld")
    until(lambda: not Path(f"/proc/{pid}").exists())


def start_controller() -> None:
    """Start it again."""
    slurm("slurmctld")
    until(lambda: slurm("sinfo", "-h", "-p", "debug", check=False))
