import json
from pathlib import Path

import pytest

from nas.errors import UserError
from nas.files import write_json
from nas.run.folder import RunFolder
from nas.run.lease import lease
from nas.sweep import PlannedRun, SweepFolder, find_sweep, table
from tests.fake_slurm import FakeSlurm


@pytest.fixture
def runs(tmp_path):
    return [PlannedRun(f"seed={n}", tmp_path / "group" / f"seed_{n}", ("true",), tmp_path) for n in range(3)]


@pytest.fixture
def sweep(tmp_path, runs):
    folder = SweepFolder(tmp_path / "sweeps" / "name")
    folder.begin("local", runs, {})
    return folder


@pytest.fixture
def fake(tmp_path, monkeypatch):
    fake = FakeSlurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", fake.path)
    return fake


@pytest.fixture
def finished(monkeypatch):
    """What a run says about its end is believed."""
    monkeypatch.setattr(RunFolder, "is_finished", lambda self: self.status.read().get("state") == "finished")


def states(sweep):
    return [row.state for row in sweep.rows()]


def test_every_run_says_what_it_does(sweep, runs, finished):
    RunFolder(runs[0].folder).write_status("finished", step=4, steps=5, hypervolume=0.123456)
    RunFolder(runs[1].folder).write_status("failed", error="ValueError: too large")
    assert states(sweep) == ["finished", "failed", "new"]
    lines = table(sweep.rows()).splitlines()
    assert lines[0].split() == ["run", "state", "step", "hypervolume", "where", "error"]
    assert lines[1].split()[:4] == ["seed=0", "finished", "4/4", "0.1235"]
    assert lines[2].endswith("ValueError: too large")
    assert lines[-1] == "3 runs: 1 finished, 1 failed, 1 new"


def test_a_narrow_terminal_gets_errors_below_and_no_places(sweep, runs, finished):
    RunFolder(runs[1].folder).write_status("failed", step=1, steps=5, error="ValueError: too large")
    assert table(sweep.rows(), 30).splitlines() == [
        "run     state   step",
        "seed=0  new",
        "seed=1  failed  1/4",
        "    ValueError: too large",
        "seed=2  new",
        "3 runs: 2 new, 1 failed",
    ]
    assert table(sweep.rows(), 200) == table(sweep.rows())


def test_hypervolumes_stand_beside_the_box_that_they_are_shares_of(sweep, runs, finished):
    """Numbers in different boxes are not taken for comparable ones."""
    box = "top-1 error 0 to 90 %, FLOPs 0.1 to 2 M"
    for run in runs:
        RunFolder(run.folder).write_status("finished", hypervolume=0.5, box=box)
    assert table(sweep.rows()).splitlines()[-2] == f"hypervolume: share of the box {box}"
    RunFolder(runs[1].folder).write_status("finished", hypervolume=0.5, box="params 1 to 2 M")
    assert table(sweep.rows()).splitlines()[-3:-1] == [
        f"hypervolume of seed=0, seed=2: share of the box {box}",
        "hypervolume of seed=1: share of the box params 1 to 2 M",
    ]


def test_runs_of_earlier_versions_have_boxes_of_their_own(sweep, runs, finished):
    RunFolder(runs[0].folder).write_status("finished", hypervolume=0.5)
    assert "hypervolume: share of each run's own box, not comparable with others" in table(sweep.rows())


def test_a_run_that_says_finished_without_results_is_to_go_on(sweep, runs):
    RunFolder(runs[0].folder).write_status("finished")
    row = sweep.rows()[0]
    assert (row.state, row.error) == ("interrupted", "its results are incomplete: the same command goes on")


def test_time_left_follows_from_recent_steps(sweep, runs):
    folder = RunFolder(runs[0].folder)
    with folder.lease():
        folder.write_status("running", step=3, steps=10)
        (row, *_) = sweep.rows()
        assert row.seconds_left is None
        lines = [{"step": 0, "seconds": {"evaluate": 100}}, *({"step": k, "seconds": {"fit": 2}} for k in (1, 2, 3))]
        (runs[0].folder / "times.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (row, *_) = sweep.rows()
        assert row.seconds_left == 12
        assert "about 12 s" in table([row])


def test_what_waits_for_a_launcher_waits_as_long_as_it_is_there(sweep, runs):
    RunFolder(runs[0].folder).write_status("queued")
    with lease(sweep.path):
        assert states(sweep)[0] == "queued"
    assert states(sweep)[0] == "interrupted"


def test_slurm_is_asked_about_its_jobs(sweep, runs, fake):
    sweep.add_jobs({run.folder: f"71_{n}" for n, run in enumerate(runs)})
    for run in runs[:2]:
        RunFolder(run.folder).write_status("queued")
    RunFolder(runs[2].folder).write_status("interrupted", error="stopped by SIGTERM")
    fake.answer("squeue", "71_0|PENDING\n71_2|PENDING")
    assert states(sweep) == ["queued", "interrupted", "queued"]
    assert sweep.rows()[1].error == "it is in no queue any more"
    assert "job 71_0" in table(sweep.rows())
    fake.answer("squeue", "Unable to contact slurm controller", code=1)
    assert states(sweep) == ["queued", "queued", "queued"]


def test_jobs_stay_known_when_the_sweep_begins_again(sweep, runs):
    sweep.add_jobs({runs[1].folder: "71_1"})
    sweep.begin("slurm", runs, {})
    assert [row.job for row in sweep.rows()] == [None, "71_1", None]


def test_a_sweep_and_its_runs_may_be_moved_together(sweep, runs, tmp_path, finished):
    RunFolder(runs[0].folder).write_status("finished")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("sweeps", "group"):
        (tmp_path / name).rename(moved / name)
    assert states(SweepFolder(moved / "sweeps" / "name"))[0] == "finished"


def test_other_runs_in_the_same_folder_are_refused(sweep, runs):
    sweep.check(runs)
    with pytest.raises(UserError, match=r"holds a sweep of other runs: .*seed_2 is there alone"):
        sweep.check(runs[:2])


def test_a_file_is_no_sweep_folder(tmp_path, runs):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        SweepFolder(tmp_path / "file").check(runs)


@pytest.mark.parametrize("text", ["{", "[]", '{"runs": 3}', '{"runs": [{}]}', '{"runs": [1]}'])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(UserError, match=r"sweep\.json is damaged"):
        SweepFolder(tmp_path).rows()


def test_a_folder_without_a_record_holds_no_sweep(tmp_path):
    with pytest.raises(UserError, match="holds no sweep"):
        SweepFolder(Path(tmp_path)).rows()


def test_damaged_times_are_no_estimate(sweep, runs):
    write_json(runs[0].folder / "status.json", {"state": "interrupted", "step": 1, "steps": 5})
    (runs[0].folder / "times.jsonl").write_text('{"step": 0}\nnothing\n')
    assert sweep.rows()[0].seconds_left is None


def test_a_sweep_is_found_by_its_name_its_folder_and_its_file(tmp_path):
    for name in ("nat-81fa02", "nat-91fa02", "encas-1f0002"):
        SweepFolder(tmp_path / name).begin("local", [], {"config_name": "nat", "overrides": ["seed=0,1"]})
    for name in ("encas", "encas-1f0002", "sweeps/encas.yaml", str(tmp_path / "encas-1f0002")):
        assert find_sweep(name, tmp_path).path == tmp_path / "encas-1f0002"
    command = {"config_name": "nat", "overrides": ["seed=0,1"]}
    assert find_sweep("encas", tmp_path).command() == command | {"config_dirs": []}
    SweepFolder(tmp_path / "earlier").begin("local", [], command | {"config_dir": "/mine"})  # versions before 0.2
    assert find_sweep("earlier", tmp_path).command() == command | {"config_dirs": ["/mine"]}
    with pytest.raises(UserError, match="sweep=nat may be nat-81fa02 or nat-91fa02: name one of them"):
        find_sweep("nat", tmp_path)
    with pytest.raises(UserError, match="unknown sweep 'encas-1f0003'; did you mean 'encas-1f0002'"):
        find_sweep("encas-1f0003", tmp_path)


def test_a_sweep_of_an_older_version_does_not_say_its_command_line(tmp_path):
    sweep = SweepFolder(tmp_path / "old")
    sweep.begin("local", [], {})
    record = json.loads((tmp_path / "old" / "sweep.json").read_text())
    del record["command"]
    (tmp_path / "old" / "sweep.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="does not say the command line of the sweep: give that, or its file"):
        sweep.command()
