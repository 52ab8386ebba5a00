import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from nas.errors import RunError, UserError
from nas.executor.base import Work
from nas.executor.process import Process
from nas.executor.serial import Serial
from nas.objective.latency import Latency
from tests.executor import misbehaving
from tests.executor.misbehaving import MEMORY_CGROUP, Misbehaving, architectures

ROOT = Path(__file__).parents[2]
SERIAL = Serial(device="cpu", workers_per_gpu=None)


@pytest.fixture
def make(tmp_path):
    """Build an executor over misbehaving evaluators; all are closed in the end."""
    made = []

    def build(at_once=1, replica=None, **changes):
        settings = {"gpus": None, "workers_per_gpu": 1, "cpu_workers": 2, "retries": 1, "timeout": 60, "objectives": []}
        replica = replica or partial(misbehaving.make, tmp_path, at_once)
        made.append(Process(device="cpu", evaluator_replica=replica, **{"start_timeout": 120, **settings, **changes}))
        return made[-1], Misbehaving(tmp_path, at_once)

    yield build
    for executor in made:
        executor.close()


def results(executor, evaluator, asked, weights=None):
    found = list(executor.map(Work(evaluator, "validation", weights), asked))
    assert sorted(index for index, _ in found) == list(range(len(asked)))
    return [evaluation for _, evaluation in sorted(found, key=lambda pair: pair[0])]


def gone(pid, seconds=10.0):
    """Wait until a process is gone, or a zombie that nobody has asked about."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("at_once", [1, 100])
def test_results_are_those_of_serial_from_all_workers(make, at_once):
    executor, evaluator = make(at_once)
    asked = architectures(*["meet"] * 24, "error")
    found = results(executor, evaluator, asked)
    expected = results(SERIAL, evaluator, asked)
    assert [e.metrics.get("top1") for e in found] == [e.metrics.get("top1") for e in expected]
    assert "ZeroDivisionError: bad one" in found[-1].error
    workers = {e.metrics["process"] for e in found if e.ok}
    assert len(workers) == 2
    assert os.getpid() not in workers
    again = results(executor, evaluator, architectures(*["takes_time"] * 8))
    assert {e.metrics["process"] for e in again} <= workers  # they persist


@pytest.mark.long
def test_what_is_finished_comes_first(make):
    executor, evaluator = make(retries=0, timeout=3)
    order = [index for index, _ in executor.map(Work(evaluator, "test", None), architectures("nothing", "hang"))]
    assert order == [0, 1]


DEATHS = {
    "kill": "it was killed by SIGKILL, as the system does where memory is short",
    "segfault": "it was killed by SIGSEGV",
    "leave": "it ended with exit code 3",
    "hang": "it took longer than 4 seconds",
    "hang_with_the_interpreter": "it took longer than 4 seconds",
    "stop": "it took longer than 4 seconds",
}
WHERE = {"segfault": "string_at", "hang": "in hang\n", "hang_with_the_interpreter": "in hang_with_the_interpreter\n"}


@pytest.fixture(scope="module")
def deaths(tmp_path_factory):
    """One of each death, among good architectures, in groups of four; what was found by what it does."""
    folder = tmp_path_factory.mktemp("deaths")
    executor = Process(
        device="cpu",
        evaluator_replica=partial(misbehaving.make, folder, 4),
        **{"objectives": [], "gpus": None, "workers_per_gpu": 1, "cpu_workers": 2},
        **{"retries": 0, "timeout": 4, "start_timeout": 120},
    )
    does = ["nothing", *DEATHS, "nothing", "nothing"]
    evaluator = Misbehaving(folder, 4)
    found = results(executor, evaluator, architectures(*does))
    executor.close()
    assert [does[gene] for gene in range(len(does)) if found[gene].ok] == ["nothing"] * 3
    return dict(zip(does, found, strict=True))


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.long
def test_a_death_costs_its_architecture_alone(deaths, death):
    assert deaths[death].error.endswith(f"WorkerDied: a worker died of this once; the last: {DEATHS[death]}")
    assert WHERE.get(death, "") in deaths[death].error  # where it was


@pytest.mark.skipif(not os.access(MEMORY_CGROUP, os.W_OK), reason="no memory can be limited here")
@pytest.mark.long
def test_who_takes_more_memory_than_there_is_fails_alone(make):
    executor, evaluator = make(cpu_workers=1, retries=0, timeout=300)
    found = results(executor, evaluator, architectures("nothing", "memory"))
    assert found[0].ok
    assert found[1].error.endswith("it was killed by SIGKILL, as the system does where memory is short")
    for group in MEMORY_CGROUP.glob("nas-test-*"):
        group.rmdir()


@pytest.mark.long
def test_a_death_is_tried_again_alone_and_then_a_failure(make, caplog):
    executor, evaluator = make(4, cpu_workers=1, retries=1)
    found = results(executor, evaluator, architectures("nothing", "kill", "nothing"))
    assert [e.ok for e in found] == [True, False, True]
    assert "WorkerDied: a worker died of this 2 times" in found[1].error
    assert caplog.text.count("a worker died and is replaced") == evaluator.log().count(1) >= 2


def test_who_dies_once_is_evaluated(make):
    executor, evaluator = make(2, cpu_workers=1)
    found = results(executor, evaluator, architectures("kill once", "nothing", "segfault once", "nothing"))
    assert [e.metrics["top1"] for e in found] == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.long
def test_an_idle_worker_that_was_killed_is_replaced(make):
    executor, evaluator = make(cpu_workers=1)
    first = results(executor, evaluator, architectures("nothing"))
    pids = {int(e.metrics["process"]) for e in first}
    os.kill(min(pids), signal.SIGKILL)
    second = results(executor, evaluator, architectures("nothing", "nothing"))
    assert all(e.ok for e in second)
    assert min(pids) not in {e.metrics["process"] for e in second}


@pytest.mark.long
def test_killed_from_outside_in_the_middle_everything_is_evaluated(make):
    executor, evaluator = make(retries=20)
    enough = threading.Event()
    killed = []

    def killer():
        while not enough.is_set():
            time.sleep(0.3)
            victims = sorted(pid for pid in evaluator.pids() if not gone(pid, 0.01))
            if victims and len(killed) < 3:
                os.kill(victims[-1], signal.SIGKILL)
                killed.append(victims[-1])

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        found = []
        while len(killed) < 3:
            found += results(executor, evaluator, architectures(*["takes_time"] * 30))
    finally:
        enough.set()
        thread.join()
    assert all(e.ok for e in found)
    assert len(killed) == 3


@pytest.mark.long
def test_workers_have_the_weights_of_the_digest(make):
    executor, evaluator = make(cpu_workers=1)
    asked = architectures("nothing", "kill once", "nothing")
    for digest, value in (("a", 1.0), ("b", 2.5), ("a", 1.0)):
        evaluator.value = np.full(2, value)
        assert {e.metrics["value"] for e in results(executor, evaluator, asked, digest)} == {2 * value}
    evaluator.value = np.full(2, 7.0)  # the digest says that nothing has changed
    assert {e.metrics["value"] for e in results(executor, evaluator, asked, "a")} == {2.0}


@pytest.mark.long
def test_an_abandoned_map_leaves_nothing_behind(make):
    executor, evaluator = make()
    for index, _ in executor.map(Work(evaluator, "test", None), architectures(*["nothing", "hang"] * 2)):
        assert index in (0, 2)
        break
    assert [e.metrics["top1"] for e in results(executor, evaluator, architectures("nothing", "nothing"))] == [0, 1]


@pytest.mark.long
def test_an_interrupt_of_the_run_ends_its_workers(make, monkeypatch):
    executor, evaluator = make()
    found = results(executor, evaluator, architectures(*["takes_time"] * 4))
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        results(executor, evaluator, architectures("hang", "hang"))
    executor.close()
    assert all(gone(int(e.metrics["process"])) for e in found)


@pytest.mark.parametrize(
    ("replica", "message"),
    [
        (misbehaving.cannot_be_made, "a worker cannot go on: FileNotFoundError: no such data"),
        (misbehaving.dies_while_made, "a worker died 2 times before it was ready: it was killed by SIGKILL"),
        (misbehaving.never_made, "a worker died 2 times before it was ready: it took longer than 10 seconds"),
    ],
)
@pytest.mark.long
def test_workers_that_cannot_start_are_the_runs_failure(make, replica, message):
    executor, evaluator = make(
        replica=replica, cpu_workers=1, start_timeout=10 if replica is misbehaving.never_made else 60
    )
    with pytest.raises(RunError, match=message):
        results(executor, evaluator, architectures("nothing"))


PARENT = """
import sys
from functools import partial
from pathlib import Path
from nas.executor.base import Work
from nas.executor.process import Process
from tests.executor import misbehaving
from tests.executor.misbehaving import architectures

if __name__ == "__main__":
    folder, does = Path(sys.argv[1]), sys.argv[2:]
    executor = Process(
        device="cpu", evaluator_replica=partial(misbehaving.make, folder, 1), objectives=[], gpus=None,
        workers_per_gpu=1, cpu_workers=2, retries=0, timeout=None, start_timeout=60,
    )
    list(executor.map(Work(misbehaving.Misbehaving(folder), "test", None), architectures(*does)))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("state", ["starting", "busy"])
@pytest.mark.long
def test_no_worker_outlives_the_run(tmp_path, number, state):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    process = subprocess.Popen(
        [sys.executable, script, tmp_path, "hang", "hang_with_the_interpreter"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    evaluator = Misbehaving(tmp_path)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if len(evaluator.pids()) == 2 or (state == "starting" and len(children.read_text().split()) == 3):
            break
        time.sleep(0.02)
    started = [int(pid) for pid in children.read_text().split()]
    assert len(started) == 3  # and Python's own resource tracker
    if number == signal.SIGINT:  # as a terminal does, which knows processes that have no group of their own yet
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert all(gone(pid) for pid in started)
    assert err.count("Traceback") == (number == signal.SIGINT), err


@pytest.mark.long
def test_measured_objectives_are_not_disturbed(make):
    latency = Latency(device="cpu", batch_size=1, warmup=0, repeats=1)
    make(objectives=[latency], cpu_workers=1)
    with pytest.raises(UserError, match=r"sec_obj=latency measures networks, .*: executor\.cpu_workers=1"):
        make(objectives=[latency], cpu_workers=2)
