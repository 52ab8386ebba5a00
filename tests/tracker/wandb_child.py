"""A process that logs a run: ``wandb_child.py FOLDER MODE FIRST LAST [BEFORE_END]``, steps FIRST to LAST as new ones.

A line is printed at the start, after each step and at the end; each step and the end wait for a line on the standard
input. BEFORE_END ``kill`` ends it with SIGKILL in place of the end, ``terminate`` with SIGTERM of all processes.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from tests.tracker.wandb_runs import FIRST, Recorder, make, run_info


def main() -> None:
    folder, mode, first, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    steps = [replace(FIRST, step=step, hypervolume=step / 10) for step in range(last + 1)]
    tracker = make(Recorder(), mode=mode, timeout=float(os.environ["TIMEOUT"]))  # type: ignore[arg-type]
    tracker.start(run_info(folder), steps[:first])
    tell("started")
    for step in steps[first:]:
        sys.stdin.readline()
        began = time.perf_counter()
        tracker.step(step, folder / "front.png")
        tell(f"logged {step.step} in {time.perf_counter() - began:.3f}")
    sys.stdin.readline()
    if sys.argv[5:] == ["kill"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[5:] == ["terminate"]:
        for child in children(os.getpid()):
            os.kill(child, signal.SIGTERM)
        time.sleep(0.5)
    began = time.perf_counter()
    tracker.finish(None)
    tell(f"finished in {time.perf_counter() - began:.3f}")


def children(parent: int) -> list[int]:
    table = subprocess.run(["ps", "-eo", "pid,ppid,comm"], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in table.splitlines()[1:]]
    return [int(row[0]) for row in rows if int(row[1]) == parent and row[2] != "ps"]


def tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
