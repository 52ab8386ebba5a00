import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from submitit.core.utils import DelayedSubmission

from nas.errors import RunError, UserError
from nas.launcher.slurm import Slurm, SlurmJob
from nas.run.folder import RunFolder
from nas.sweep import PlannedRun, SweepFolder
from tests.cluster import until
from tests.fake_slurm import FakeSlurm

ROOT = Path(__file__).parents[2]
RUN = (
    "import sys, time; from pathlib import Path; from nas.run.status import StatusFile\n"
    "folder = Path(sys.argv[1])\n"
    "with StatusFile(folder / 'status.json').kept(): (folder / 'ready').write_text(''); time.sleep(60)"
)
JOB = "import pickle, sys; from pathlib import Path\npickle.loads(Path(sys.argv[1]).read_bytes())()"


def make(**changes):
    settings = {
        "partition": None, "timeout_min": 90, "gpus_per_node": 0, "cpus_per_task": 2, "mem_gb": None,
        "array_parallelism": 5, "requeue": True, "signal_delay_s": 60, "max_num_timeout": 2, "restarts": 0,
        "account": None, "qos": None, "constraint": None, "setup": (), "additional_parameters": {},
    }  # fmt: skip
    return Slurm(**(settings | changes))


@pytest.fixture
def fake(tmp_path, monkeypatch):
    fake = FakeSlurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", fake.path)
    return fake


@pytest.fixture
def runs(tmp_path):
    folders = [tmp_path / "runs" / f"seed_{n}" for n in range(3)]
    return [
        PlannedRun(f"seed={n}", path, (sys.executable, "-c", RUN, str(path)), ROOT) for n, path in enumerate(folders)
    ]


@pytest.fixture
def sweep(tmp_path, runs):
    folder = SweepFolder(tmp_path / "sweep")
    folder.begin("slurm", runs, {})
    return folder


def submission(sweep):
    (path,) = sweep.path.glob("slurm/*/*_submission.sh")
    return path.read_text()


def test_runs_are_submitted_as_one_array(fake, sweep, runs):
    fake.answer("squeue", "\n".join(f"71_{n}|PENDING" for n in range(3)))
    assert make().launch(sweep, runs) == "3 runs submitted as SLURM job 71"
    text = submission(sweep)
    for line in (
        "--array=0-2%3",
        "--time=90",
        "--cpus-per-task=2",
        "--signal=USR2@60",
        "--requeue",
        "--open-mode=append",
    ):
        assert f"#SBATCH {line}\n" in text
    for absent in ("--gpus", "--mem", "--partition", "--account"):
        assert absent not in text
    assert f"export PYTHONPATH={ROOT}$" in text
    assert [(row.state, row.job) for row in sweep.rows()] == [("queued", f"71_{n}") for n in range(3)]
    pickled = DelayedSubmission.load(next(sweep.path.glob("slurm/71_1/*.pkl")))
    assert pickled.function == SlurmJob(runs[1], 0, 60, 2)


def test_settings_reach_sbatch(fake, sweep, runs):
    make(
        partition="gpu", gpus_per_node=1, mem_gb=1.5, requeue=False, account="me", setup=("module load cuda",),
        additional_parameters={"exclude": "node7"}, array_parallelism=2,
    ).launch(sweep, runs)  # fmt: skip
    text = submission(sweep)
    for line in (
        "--partition=gpu",
        "--gpus-per-node=1",
        "--mem=1536MB",
        "--no-requeue",
        "--account=me",
        "--exclude=node7",
    ):
        assert f"#SBATCH {line}\n" in text
    assert "--array=0-2%2" in text
    assert "\nmodule load cuda\n" in text


def test_jobs_know_nothing_of_the_job_that_submits_them(fake, sweep, runs, monkeypatch):
    monkeypatch.setenv("SBATCH_ACCOUNT", "mine")
    monkeypatch.setenv("SLURM_CONF", "slurm.conf")
    make().launch(sweep, runs)
    assert fake.environment("sbatch")["SBATCH_ACCOUNT"] == "mine"
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.setenv(name, "3")
    make().launch(sweep, runs)
    inherited = fake.environment("sbatch")
    assert inherited["SLURM_CONF"] == "slurm.conf"
    assert not {"SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID"} & inherited.keys()
    assert os.environ["SLURM_JOB_ID"] == "3"


def test_one_run_is_no_array(fake, sweep, runs):
    make().launch(sweep, runs[:1])
    assert "--array" not in submission(sweep)
    assert sweep.rows()[0].job == "71"


def test_a_submission_that_is_refused_leaves_the_runs_as_they_were(fake, sweep, runs, capfd):
    fake.answer("sbatch", "sbatch: error: invalid partition specified: gpu", code=1)
    with pytest.raises(RunError, match="SLURM takes no jobs: sbatch: error: invalid partition specified: gpu"):
        make(partition="gpu").launch(sweep, runs)
    assert [row.state for row in sweep.rows()] == ["new"] * 3
    assert capfd.readouterr().err == ""


def test_a_run_that_has_begun_at_once_is_not_called_queued(fake, sweep, runs, monkeypatch):
    add_jobs = SweepFolder.add_jobs

    def begins(self, jobs):
        add_jobs(self, jobs)
        RunFolder(runs[0].folder).write_status("running")

    monkeypatch.setattr(SweepFolder, "add_jobs", begins)
    make().launch(sweep, runs)
    states = [RunFolder(run.folder).status.read()["state"] for run in runs]
    assert states == ["running", "queued", "queued"]


def test_without_slurm_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="there is no sbatch here; on this machine: hydra/launcher=local"):
        make().check()


def test_waiting_ends_when_slurm_has_done_with_all_jobs(fake, sweep, runs, monkeypatch, capsys):
    fake.answer("squeue", "71_0|PENDING")
    make().launch(sweep, runs)

    sleep = time.sleep

    def ends(seconds: float) -> None:
        if seconds < 1:
            return sleep(seconds)  # of subprocess
        RunFolder(runs[0].folder).write_status("failed", error="ValueError: 3")
        return fake.answer("squeue", "")

    monkeypatch.setattr(time, "sleep", ends)
    make().wait(sweep)
    assert capsys.readouterr().out.splitlines() == [
        "seed=0: queued",
        "seed=1: interrupted (it is in no queue any more)",
        "seed=2: interrupted (it is in no queue any more)",
        "seed=0: failed (ValueError: 3)",
    ]


@pytest.fixture
def start(tmp_path, fake, runs):
    """Start a job's process, and wait until its run is under way."""
    import cloudpickle

    def started(max_num_timeout=2):
        pickled = tmp_path / "job.pkl"
        pickled.write_bytes(cloudpickle.dumps(SlurmJob(runs[0], 0, 1, max_num_timeout)))
        environment = os.environ | {"SLURM_ARRAY_JOB_ID": "71", "SLURM_ARRAY_TASK_ID": "0", "PYTHONPATH": str(ROOT)}
        runs[0].folder.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen([sys.executable, "-c", JOB, str(pickled)], env=environment)
        until((runs[0].folder / "ready").exists, every=0.02)
        return process

    return started


@pytest.mark.parametrize(("left", "timeouts"), [("10:00", 0), ("0:30", 1), ("UNLIMITED", 0)])
def test_before_its_end_a_job_stops_its_run_and_goes_back_into_the_queue(start, fake, runs, left, timeouts):
    fake.answer("squeue", left)
    process = start()
    process.send_signal(signal.SIGUSR2)
    assert process.wait(20) == 128 + signal.SIGTERM
    assert fake.calls("scontrol") == ["requeue 71_0"]
    facts = RunFolder(runs[0].folder).status.read()
    assert (facts["state"], facts["timeouts"], facts["job"]) == ("queued", timeouts, "71_0")


def test_too_many_timeouts_are_the_end(start, fake, runs):
    RunFolder(runs[0].folder).write_status("queued", timeouts=2)
    fake.answer("squeue", "0:30")
    process = start()
    process.send_signal(signal.SIGUSR2)
    process.wait(20)
    assert fake.calls("scontrol") == []
    facts = RunFolder(runs[0].folder).status.read()
    assert (facts["state"], facts["timeouts"]) == ("interrupted", 3)
    assert "reached their time limit 3 times" in facts["error"]


def test_a_controller_that_does_not_come_back_is_said(start, fake, runs):
    fake.answer("scontrol", "Unable to contact slurm controller", code=1)
    process = start()
    process.send_signal(signal.SIGUSR2)
    process.wait(30)
    facts = RunFolder(runs[0].folder).status.read()
    assert (facts["state"], facts["error"]) == ("interrupted", "SLURM could not be asked to start it again")


def test_a_cancelled_job_stops_its_run_and_does_not_come_back(start, fake, runs):
    process = start()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM
    assert fake.calls("scontrol") == []
    facts = RunFolder(runs[0].folder).status.read()
    assert (facts["state"], facts["error"]) == ("interrupted", "stopped by SIGTERM")
