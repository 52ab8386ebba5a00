"""Where evaluations happen changes nothing: archives and fronts are those of the run's own process, byte for byte."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TINY = ("tracker=csv", "device=cpu", "dataset.resolutions=[8]", "evaluator.recalibration_images=64")
RUNS = {
    "msunas": (
        *("training=none", "algorithm.n_doe=26", "algorithm.n_iter=4", "algorithm.iterations=2"),
        *("surrogate=rbf", "optimizer=nsga2", "selector=subset", "optimizer.generations=3", "optimizer.population=20"),
    ),
    "nat": (
        *("algorithm=nat", "algorithm.n_doe=10", "algorithm.n_iter=8", "algorithm.iterations=2"),
        *("supernet.depths=[1,2]", "training.epochs=2", "training.averaged_iterations=2", "training.initial.epochs=1"),
        *("training.initial.warmup_epochs=0", "surrogate.members=20", "optimizer.generations=3"),
    ),
}
EXECUTORS = {
    "process": ("executor=process", "executor.cpu_workers=2"),
    "submitit": (
        *("executor=submitit", "executor.cluster=local", "executor.cpus=2", "executor.chunk=20"),
        *("executor.array_parallelism=1", "executor.poll=0.2"),
    ),
}


def start(folder: Path, run: str, *words: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, ROOT / "launch.py", *TINY, *RUNS[run], "paths.run=run", "paths.cache=../cache", *words]
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: "subprocess.Popen[bytes]") -> None:
    _, err = process.communicate()
    assert process.returncode == 0, err.decode()[-2000:]


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with each of the runs, all evaluations in the run's own process."""
    folder = tmp_path_factory.mktemp("executors")
    for run in RUNS:
        finish(start(folder / run, run))
    return folder


def same(folder: Path, expected: Path) -> None:
    for file in ("archive.jsonl", "front.json"):
        assert (folder / "run" / file).read_bytes() == (expected / "run" / file).read_bytes(), file


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.long
def test_results_are_those_of_serial(serial: Path, run: str, executor: str) -> None:
    folder = serial / f"{run}-{executor}"
    finish(start(folder, run, *EXECUTORS[executor]))
    same(folder, serial / run)
    assert not (folder / "run" / "jobs").exists()


@pytest.mark.slow
@pytest.mark.long
def test_killed_with_its_workers_at_work_the_run_goes_on_elsewhere(serial: Path) -> None:
    folder = serial / "killed"
    process = start(folder, "nat", *EXECUTORS["process"])
    end = time.monotonic() + 300
    while not list((folder / "run" / "iter_1").glob("net_*.stats")) and time.monotonic() < end:
        time.sleep(0.01)
    children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(children) == 3  # and Python's own resource tracker
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    end = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < end, "a worker outlives the run"
        time.sleep(0.05)
    finish(start(folder, "nat", "executor=serial"))
    same(folder, serial / "nat")
