"""Sweeps from the command line: which runs start, and what is said at the end."""

import json
import sys
from pathlib import Path

import pytest

from nas.launcher.base import Launcher
from nas.launcher.local import Local
from nas.run.folder import RunFolder
from nas.run.lease import lease
from nas.sweep import PlannedRun, SweepFolder
from tests.cli.test_main import SMALL
from tests.fake_slurm import FakeSlurm

WRONG = {
    "detach without -m": (["detach=true"], "detach=true needs -m (multirun)"),
    "hydra's launcher": (["-m", "hydra/launcher=submitit_slurm"], "choices: local, slurm, basic"),
    "unknown launcher": (["-m", "hydra/launcher=slrum"], "'slrum'; did you mean 'slurm'?"),
    "launcher's key": (["-m", "hydra.launcher.worker=2"], "did you mean 'hydra.launcher.workers'?"),
    "launcher's type": (["-m", "hydra.launcher.workers=two"], "hydra.launcher.workers='two' is wrong"),
    "launcher's range": (["-m", "hydra.launcher.workers=0"], "hydra.launcher.workers=0 is wrong"),
    "no slurm": (["-m", "hydra/launcher=slurm"], "there is no sbatch here; on this machine: hydra/launcher=local"),
    "different launchers": (["-m", "hydra.launcher.workers=1,2", "paths.run=${hydra:launcher.workers}"], "one"),
    "detached in this process": (["-m", "hydra/launcher=basic", "detach=true"], "=basic runs in the process"),
    "a task without a run folder on SLURM": (
        ["-m", "task=status", "sweep=x", "hydra/launcher=slurm"],
        "task=status, which has no run folder, runs in the process of the command line",
    ),
    "no sweep named": (["task=status"], "sweep must be given: add sweep=VALUE"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_command_line_ends_in_one_line_and_leaves_nothing(case, launch, tmp_path, monkeypatch):
    arguments, message = WRONG[case]
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, err = launch(*arguments, f"paths.cache={tmp_path / 'cache'}")
    assert (code, out) == (2, ""), err
    assert message in err
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


class Remembering(Launcher):
    """Says which runs it was given, and lets them end as they are told to."""

    def __init__(self) -> None:
        self.started: list[list[PlannedRun]] = []
        self.ends: dict[str, tuple[str, str | None]] = {}

    def check(self) -> None:
        pass

    def launch(self, sweep, runs) -> str:
        self.started.append(list(runs))
        for run in runs:
            state, error = self.ends.get(run.label, ("finished", None))
            RunFolder(run.folder).write_status(state, error=error, failed=int(run.label == "seed=1"))
        return "started"

    def wait(self, sweep) -> None:
        pass

    def detach(self, sweep, runs, command) -> str:
        self.command = list(command)
        return self.launch(sweep, runs)

    @property
    def labels(self) -> list[str]:
        return [run.label for run in self.started.pop()] if self.started else []


@pytest.fixture
def launcher(monkeypatch):
    """What runs say about their end is believed, and there are no processes."""
    launcher = Remembering()
    monkeypatch.setattr(Local, "launch", lambda _, *arguments: launcher.launch(*arguments))
    monkeypatch.setattr(Local, "detach", lambda _, *arguments: launcher.detach(*arguments))
    monkeypatch.setattr(RunFolder, "is_finished", lambda self: self.status.read().get("state") == "finished")
    monkeypatch.setattr("nas.task.search.SearchTask.check", lambda self: self._folder.check_free())
    return launcher


THREE = ("-m", "seed=range(3)", "tracker=csv")


def folders(tmp_path: Path) -> list[Path]:
    return sorted(tmp_path.glob("outputs/*/seed_*"))


def test_a_sweep_runs_all_and_the_same_command_again_runs_none(launch, launcher, tmp_path):
    code, out, err = launch(*THREE)
    assert (code, err) == (0, "")
    assert launcher.labels == ["seed=0", "seed=1", "seed=2"]
    assert "3 runs, 3 to start" in out
    assert out.splitlines()[-1] == "3 runs: 3 finished"
    (record,) = tmp_path.glob("outputs/sweeps/*/sweep.json")
    assert not set(str(record.relative_to(tmp_path))) & set("[](){},=' :")
    code, out, _ = launch(*THREE)
    assert (code, launcher.labels) == (0, [])
    assert "3 runs, 3 finished, 0 to start" in out
    assert list(tmp_path.glob("outputs/sweeps/*/sweep.json")) == [record]


@pytest.mark.long
def test_what_a_job_runs(launch, launcher, tmp_path):
    launch(*THREE, "hydra.launcher.workers=2", "+constraints={flops:{max:3}}", "retry_failed=true", "detach=false")
    (runs,) = launcher.started
    assert runs[1].folder == folders(tmp_path)[1]
    assert runs[1].cwd == tmp_path
    python, *_, launch_py, mode = runs[1].command[:5]
    assert (python, Path(launch_py).name, mode) == (sys.executable, "launch.py", "hydra.mode=RUN")
    assert runs[1].command[5:] == ("seed=1", "tracker=csv", "+constraints={flops:{max:3}}", "retry_failed=True")


@pytest.mark.long
def test_unfinished_runs_go_on_and_failed_ones_on_request(launch, launcher):
    launcher.ends = {"seed=0": ("failed", "ValueError: 3"), "seed=2": ("interrupted", "stopped")}
    code, out, err = launch(*THREE)
    assert code == 1
    assert "ValueError: 3" in out
    assert "retry_failed=true starts failed runs again" in err
    launcher.started.clear()
    code, out, _ = launch(*THREE)
    assert (code, launcher.labels) == (1, ["seed=2"])
    assert "1 finished, 1 to start" in out.replace("1 failed (retry_failed=true starts them again), ", "")
    launcher.ends = {}
    code, out, _ = launch(*THREE, "retry_failed=true")
    assert code == 0
    assert launcher.labels == ["seed=0", "seed=1", "seed=2"]  # an evaluation of seed=1 failed
    launch(*THREE, "retry_failed=true")
    assert launcher.labels == ["seed=1"]


@pytest.mark.long
def test_a_run_in_use_elsewhere_is_left_alone_and_shown(launch, launcher, tmp_path):
    launch(*THREE)
    launcher.started.clear()
    RunFolder(folders(tmp_path)[1]).write_status("running", step=2, steps=5)
    with lease(folders(tmp_path)[1]):
        code, out, err = launch(*THREE)
    assert (code, err, launcher.labels) == (0, "", [])
    assert "1 under way" in out
    assert "2/4" in out


@pytest.mark.long
def test_a_killed_run_goes_on(launch, launcher, tmp_path):
    launch(*THREE)
    launcher.started.clear()
    RunFolder(folders(tmp_path)[2]).write_status("running")
    code, _, _ = launch(*THREE)
    assert (code, launcher.labels) == (0, ["seed=2"])


@pytest.mark.long
def test_detached_it_says_where_to_look(launch, launcher):
    code, out, _ = launch(*THREE, "detach=true")
    assert code == 0
    assert "python launch.py task=status sweep=outputs/sweeps/" in out
    assert launcher.command[0] == sys.executable
    assert launcher.command[2:] == [*THREE]


@pytest.mark.long
def test_two_command_lines_at_once_are_refused(launch, launcher, tmp_path):
    launch(*THREE)
    (record,) = tmp_path.glob("outputs/sweeps/*/sweep.json")
    with lease(record.parent):
        code, _, err = launch(*THREE)
    assert code == 2
    assert "is in use by process" in err


@pytest.mark.long
def test_the_name_says_what_it_is_and_follows_from_the_runs(launch, launcher, tmp_path):
    def name(*arguments: str) -> str:
        before = set(tmp_path.glob("outputs/sweeps/*"))
        launch("-m", "tracker=csv", *arguments)
        (new,) = set(tmp_path.glob("outputs/sweeps/*")) - before
        return new.name

    assert name("seed=0,1").startswith("digits-tiny-msunas-flops-")
    assert name("seed=0,1,2").startswith("digits-tiny-msunas-flops-")
    assert name("seed=0", "algorithm=msunas,random").startswith("digits-tiny-msunas_random-flops-")
    assert name("seed=0,1", "experiment=msunas_paper").startswith("msunas_paper-flops-")
    with pytest.raises(ValueError, match="not enough values"):
        name("seed=1,0")  # the same runs
    with pytest.raises(ValueError, match="not enough values"):
        name("seed=0,1", "executor=process", "hydra.launcher.workers=2", "retry_failed=true")


@pytest.mark.long
def test_other_runs_in_the_folder_of_a_sweep_are_refused(launch, launcher):
    launch(*THREE, "hydra.sweep.dir=sweep")
    code, _, err = launch("-m", "seed=0,1", "tracker=csv", "hydra.sweep.dir=sweep")
    assert code == 2
    assert "holds a sweep of other runs" in err


@pytest.mark.long
def test_slurm_is_given_what_is_missing_and_is_not_asked_twice(launch, launcher, tmp_path, monkeypatch):
    fake = FakeSlurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", fake.path)
    fake.answer("squeue", "\n".join(f"71_{n}|PENDING" for n in range(3)))
    code, out, err = launch(*THREE, "hydra/launcher=slurm", "detach=true")
    assert (code, err) == (0, "")
    assert "3 runs submitted as SLURM job 71" in out
    code, out, _ = launch(*THREE, "hydra/launcher=slurm", "detach=true")
    assert "3 runs, 3 under way, 0 to start" in out
    assert len(fake.calls("sbatch")) == 1
    fake.answer("squeue", "")
    fake.answer("sbatch", "sbatch: error: Unable to contact slurm controller", code=1)
    code, _, err = launch(*THREE, "hydra/launcher=slurm")
    assert (code, err) == (1, "error: SLURM takes no jobs: sbatch: error: Unable to contact slurm controller\n")


@pytest.mark.long
def test_runs_in_this_process_are_recorded_too(launch, tmp_path):
    code, out, err = launch("-m", "seed=0,1", *SMALL, "hydra/launcher=basic")
    assert code == 0, err
    assert out.splitlines()[-1] == "2 runs: 2 finished"
    (record,) = tmp_path.glob("outputs/sweeps/*/sweep.json")
    assert [row.state for row in SweepFolder(record.parent).rows()] == ["finished", "finished"]


@pytest.mark.slow
@pytest.mark.long
def test_processes_of_this_machine_give_the_same_archives(launch, tmp_path, monkeypatch):
    code, out, err = launch("-m", "seed=0,1", *SMALL, "hydra.launcher.workers=2")
    assert code == 0, out + err
    code, _, err = launch("-m", "seed=0,1", *SMALL, "hydra/launcher=basic", "paths.outputs=here")
    assert code == 0, err
    for path in tmp_path.glob("here/*/seed_*/archive.jsonl"):
        assert path.read_bytes() == (tmp_path / "outputs" / path.relative_to(tmp_path / "here")).read_bytes()
    statuses = [json.loads(path.read_text()) for path in tmp_path.glob("outputs/*/seed_*/status.json")]
    assert [status["state"] for status in statuses] == ["finished", "finished"]
