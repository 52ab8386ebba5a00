import getpass
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from nas.errors import RunError, UserError
from nas.executor.base import Work
from nas.executor.submitit import Submitit
from tests.executor import misbehaving
from tests.executor.misbehaving import Misbehaving, architectures

ROOT = Path(__file__).parents[2]
SETTINGS = {
    **{"device": "cpu", "cluster": "local", "partition": None, "time": 5, "cpus": 1, "gpus": 0, "mem_gb": 1.0},
    **{"array_parallelism": 1, "chunk": 10, "setup_commands": (), "parameters": {}, "workers_per_gpu": 1},
    **{"retries": 0, "timeout": 600, "start_timeout": 120, "poll": 0.1},
}


def slurm_is_up() -> bool:
    try:
        subprocess.run(["sinfo"], check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


@pytest.fixture
def make(tmp_path):
    """Build an executor over misbehaving evaluators; all are closed in the end."""
    made = []

    def build(at_once=1, replica=None, **changes):
        replica = replica or partial(misbehaving.make, tmp_path, at_once)
        made.append(Submitit(evaluator_replica=replica, folder=tmp_path / "run", **(SETTINGS | changes)))
        return made[-1], Misbehaving(tmp_path, at_once)

    yield build
    for executor in made:
        executor.close()
    assert not (tmp_path / "run" / "jobs").exists()


@pytest.fixture
def slurm(make):
    """The same on a real SLURM."""
    if not slurm_is_up():
        pytest.skip("no SLURM is up: SLURM_CONF names its configuration")
    return partial(make, cluster="slurm", array_parallelism=2)


def results(executor, evaluator, asked, weights=None):
    found = list(executor.map(Work(evaluator, "validation", weights), asked))
    assert sorted(index for index, _ in found) == list(range(len(asked)))
    return [evaluation for _, evaluation in sorted(found, key=lambda pair: pair[0])]


def queue() -> list[list[str]]:
    command = ["squeue", "--noheader", "--array", f"--user={getpass.getuser()}", "--format=%i %T %j"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.split() for line in said.splitlines() if "nas-" in line]


def until(true, seconds=120.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


@pytest.mark.long
def test_what_dies_in_a_job_costs_its_architecture_alone(make):
    executor, evaluator = make(at_once=3)
    found = results(executor, evaluator, architectures("nothing", "segfault", "error", "nothing"))
    assert [e.metrics.get("top1") for e in found] == [0.0, None, None, 3.0]
    assert "string_at" in found[1].error
    assert found[1].error.endswith("it was killed by SIGSEGV")
    assert "ZeroDivisionError: bad one" in found[2].error


@pytest.mark.long
def test_jobs_have_the_weights_of_the_digest(make, tmp_path):
    executor, evaluator = make()
    for digest, value in (("a", 1.0), ("b", 2.5)):
        evaluator.value.fill(value)
        (found,) = results(executor, evaluator, architectures("nothing"), digest)
        assert found.metrics["value"] == 2 * value
        assert [path.name for path in (tmp_path / "run" / "jobs").glob("weights-*")] == [f"weights-{digest}.pt"]


@pytest.mark.long
def test_a_job_that_is_gone_is_submitted_again_and_then_a_failure(make, tmp_path):
    executor, evaluator = make(replica=misbehaving.cannot_be_made, retries=1)
    found = results(executor, evaluator, architectures("nothing"))
    assert found[0].error.endswith("JobDied: its job, 1 at last, ended without a result too often")
    assert "RunError: a worker cannot go on: FileNotFoundError: no such data" in found[0].error


@pytest.mark.long
def test_results_of_a_killed_run_are_used_and_damaged_ones_are_not(make, tmp_path, caplog):
    executor, evaluator = make()
    asked = architectures("nothing", "nothing", "error", "nothing")
    finds = executor.map(Work(evaluator, "validation", "w"), asked)
    next(finds)  # the run is killed here: what else has arrived stays where it is
    jobs = tmp_path / "run" / "jobs"
    until(lambda: len(list(jobs.glob("results/*/*.json"))) == 4)
    finds.close()
    executor.close()
    files = {json.loads(path.read_text())["genome"][0]: path for path in jobs.glob("results/*/*.json")}
    assert sorted(files) == [0, 1, 2, 3]
    text = files[3].read_text()
    files[3].write_text(text.replace('"top1": 3.0', '"top1": 99.0'))
    files[1].replace(files[0])  # another architecture's
    before = evaluator.log()
    executor, _ = make()
    found = results(executor, evaluator, asked, "w")
    assert [e.metrics.get("top1") for e in found] == [0.0, 1.0, None, 3.0]
    assert sorted(evaluator.log()[len(before) :]) == [0, 1, 2, 3]
    assert caplog.text.count("is damaged; the architecture is evaluated again") == 2


@pytest.mark.long
def test_only_results_of_the_same_weights_and_split_are_used(make, tmp_path):
    executor, evaluator = make()
    asked = architectures("nothing")
    finds = executor.map(Work(evaluator, "validation", "w"), asked)
    next(finds)
    finds.close()
    executor.close()
    assert list((tmp_path / "run" / "jobs").glob("results/*/*.json"))
    executor, evaluator = make()
    assert len(evaluator.log()) == 1
    assert results(executor, evaluator, asked, "v")[0].error is None
    assert len(evaluator.log()) == 2
    assert len(results(executor, evaluator, asked, "w")) == 1
    assert len(evaluator.log()) == 2


@pytest.mark.long
def test_without_slurm_it_says_so(make, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="there is no sbatch on this machine; use executor=process"):
        make(cluster="slurm")
    with pytest.raises(UserError, match=r"executor\.gpus=0: jobs would compute on the CPU, but device=cuda"):
        make(device="cuda")


PARENT = """
import sys
from functools import partial
from pathlib import Path
from nas.executor.base import Work
from nas.executor.submitit import Submitit
from tests.executor import misbehaving
from tests.executor.misbehaving import architectures
from tests.executor.test_submitit import SETTINGS

if __name__ == "__main__":
    folder, cluster, does = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    executor = Submitit(
        evaluator_replica=partial(misbehaving.make, folder, 1), folder=folder / "run",
        **(SETTINGS | {"cluster": cluster, "timeout": None}),
    )
    list(executor.map(Work(misbehaving.Misbehaving(folder), "validation", None), architectures(*does)))
"""


def killed_run(tmp_path: Path, cluster: str, *does: str) -> None:
    """Start a run in a process of its own and kill it when it is at the last architecture."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, script, tmp_path, cluster, *does], env=environment) as process:
        until(lambda: len(Misbehaving(tmp_path).log()) == len(does))
        os.kill(process.pid, signal.SIGKILL)


@pytest.mark.long
def test_local_jobs_do_not_outlive_a_killed_run(tmp_path):
    killed_run(tmp_path, "local", "hang")
    (worker,) = Misbehaving(tmp_path).pids()
    until(lambda: not Path(f"/proc/{worker}").exists(), 30)


@pytest.mark.slow
@pytest.mark.long
def test_slurm_finds_what_serial_finds(slurm):
    executor, evaluator = slurm(at_once=2, chunk=3)
    found = results(executor, evaluator, architectures(*["nothing"] * 5, "kill", "nothing"))
    assert [e.metrics.get("top1") for e in found] == [0.0, 1.0, 2.0, 3.0, 4.0, None, 6.0]
    executor.close()
    until(lambda: not queue())


@pytest.mark.slow
@pytest.mark.parametrize("how", ["scancel", "requeue", "signal", "kill"])
@pytest.mark.long
def test_a_job_of_slurm_that_is_disturbed_loses_nothing(slurm, how):
    executor, evaluator = slurm(retries=1)
    asked = architectures("takes_time", "hang once", *["takes_time"] * 3)  # the last ones are evaluated first
    finds = executor.map(Work(evaluator, "validation", None), asked)
    found = dict([next(finds), next(finds), next(finds)])
    until(lambda: evaluator.log().count(1) == 1)
    ((name, state, _),) = queue()
    assert state == "RUNNING"
    if how == "scancel":
        subprocess.run(["scancel", name], check=True)
    elif how == "requeue":
        subprocess.run(["scontrol", "requeue", name], check=True)
    elif how == "signal":  # the warning before preemption or a time limit; what hangs is then ended by the limit
        subprocess.run(["scancel", "--signal=USR2", name], check=True)
        subprocess.run(["scancel", "--signal=TERM", name], check=True)
        time.sleep(2)
        assert [entry[0] for entry in queue()] == [name]
        subprocess.run(["scontrol", "update", f"job={name}", "TimeLimit=0:01"], check=True)
    else:
        (worker,) = evaluator.pids()
        os.kill(int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
    found |= dict(finds)
    assert {index: e.metrics.get("top1") for index, e in found.items()} == {i: float(i) for i in range(5)}
    assert all(evaluator.log().count(gene) == 1 for gene in (0, 2, 3, 4))


@pytest.mark.slow
@pytest.mark.long
def test_a_preempted_job_goes_on(slurm, tmp_path):
    executor, evaluator = slurm(partition="debug", cpus=2)
    finds = executor.map(Work(evaluator, "validation", None), architectures("hang once", "takes_time"))
    assert next(finds)[0] == 1
    until(lambda: evaluator.log().count(0) == 1)
    urgent = [
        "sbatch",
        "--partition=urgent",
        "--cpus-per-task=2",
        "--mem=100",
        "--output=/dev/null",
        "--wrap",
        "sleep 2",
    ]
    subprocess.run(urgent, check=True, cwd=tmp_path)
    assert {index: e.metrics["top1"] for index, e in finds} == {0: 0.0}
    assert evaluator.log() == [1, 0, 0]


@pytest.mark.slow
@pytest.mark.long
def test_the_next_process_of_a_killed_run_cancels_its_jobs(slurm, tmp_path):
    killed_run(tmp_path, "slurm", "hang once", "nothing", "nothing")
    ((before, _, _),) = queue()
    executor, evaluator = slurm()
    found = results(executor, evaluator, architectures("hang once", "nothing", "nothing"))
    assert [e.metrics["top1"] for e in found] == [0.0, 1.0, 2.0]
    assert evaluator.log() == [2, 1, 0, 0]
    until(lambda: before not in [name for name, _, _ in queue()])


@pytest.mark.slow
@pytest.mark.long
def test_slurm_refuses_what_is_wrong(slurm):
    with pytest.raises(UserError, match=r"executor\.partition=nowhere is unknown to SLURM; choices: debug, urgent"):
        slurm(partition="nowhere")
    executor, evaluator = slurm(parameters={"gres": "nothing:1"})
    with pytest.raises(RunError, match=r"SLURM did not take the jobs: sbatch: error: .*Invalid generic resource"):
        results(executor, evaluator, architectures("nothing"))
