import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from nas.errors import UserError
from nas.files import write_json
from nas.objective.base import TOP1_ERROR
from nas.run.archive import Archive, Commit, Entry
from nas.run.folder import MOVED_CLASSES, RunFolder, short_names
from nas.types import Architecture, Measure

SETTINGS = {"seed": 0, "algorithm": {"n_iter": 8}, "tracker": {"mode": "offline"}, "reference_point": None}


def test_other_settings_are_refused_by_name(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin(SETTINGS, {"dataset": "d1"})
    folder.check_settings(SETTINGS)
    with pytest.raises(UserError, match=r"algorithm\.n_iter is 8 there and 4 here"):
        folder.check_settings(SETTINGS | {"algorithm": {"n_iter": 4}})
    with pytest.raises(UserError, match=r"device is absent there and cpu here"):
        folder.check_settings(SETTINGS | {"device": "cpu"})


def test_settings_that_do_not_change_results_may_differ(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin(SETTINGS, {"dataset": "d1"})
    folder.check_settings(SETTINGS | {"tracker": {"mode": "online", "project": "x"}, "retry_failed": True})


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UserError, match="is a file"):
        RunFolder(tmp_path / "run").check_settings(SETTINGS)


def test_identity_stays_and_every_start_is_recorded(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.begin(SETTINGS, {"dataset": "d1"}) == folder.begin(SETTINGS, {"dataset": "d1"})
    run = json.loads((tmp_path / "run.json").read_text())
    assert len(run["starts"]) == 2
    assert run["starts"][0].keys() >= {"time", "command", "host", "pid", "python", "packages", "git"}
    assert run["starts"][0]["packages"]["numpy"]
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == SETTINGS
    assert RunFolder(tmp_path / "other").begin(SETTINGS, {"dataset": "d1"}) != run["id"]


@pytest.fixture
def finished(tmp_path):
    """A run that says it is finished, with its archive and its front."""
    archive = Archive.open(tmp_path / "archive.jsonl", [TOP1_ERROR, Measure("flops", "MFLOPs")], ["depth"])
    entries = [Entry(0, i, Architecture((i,), {}), (50.0 - i, 1.0 + i), {}) for i in range(4)]
    archive.extend(Commit(0), entries)
    write_json(tmp_path / "front.json", {"finished": True, "step": 0, "evaluations": 4})
    RunFolder(tmp_path).write_status("finished")
    return RunFolder(tmp_path)


def test_status_follows_the_run(tmp_path):
    folder = RunFolder(tmp_path)
    assert not folder.is_finished()
    folder.write_status("running", step=3)
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["state"] == "running"
    assert (status["step"], status["pid"]) == (3, os.getpid())


def test_a_finished_run_is_believed(finished):
    assert finished.is_finished()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / "front.json").unlink(),
        lambda path: (path / "front.json").write_text("{"),
        lambda path: write_json(path / "front.json", {"finished": False, "step": 0, "evaluations": 4}),
        lambda path: write_json(path / "front.json", {"finished": True, "step": 1, "evaluations": 4}),
        lambda path: (path / "archive.jsonl").unlink(),
        lambda path: (path / "archive.jsonl").write_bytes((path / "archive.jsonl").read_bytes()[:-9]),
        lambda path: (path / "archive.jsonl").write_bytes((path / "archive.jsonl").read_bytes().replace(b"50", b"51")),
        lambda path: (path / "archive.jsonl").write_text("no archive"),
        lambda path: RunFolder(path).write_status("running"),
    ],
)
def test_a_run_that_says_finished_is_not_believed_without_its_results(finished, damage):
    damage(finished.path)
    assert not finished.is_finished()


def test_a_run_that_waits_for_its_turn_is_a_run_folder(tmp_path):
    RunFolder(tmp_path).write_status("queued")
    RunFolder(tmp_path).check_free()


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path):
    holder = (
        "import sys; from pathlib import Path; from nas.run.folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).lease():\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    with pytest.raises(UserError, match=f"in use by process {process.pid} on "), RunFolder(tmp_path).lease():
        pass
    process.kill()
    process.communicate()
    with RunFolder(tmp_path).lease():
        assert f"process {os.getpid()}" in (tmp_path / ".lease").read_text()


def test_other_data_under_the_same_settings_are_refused(tmp_path):
    folder = RunFolder(tmp_path)
    folder.check_data({"dataset": "d1"})
    folder.begin(SETTINGS, {"dataset": "d1"})
    folder.check_data({"dataset": "d1"})
    with pytest.raises(UserError, match="the data have changed"):
        folder.check_data({"dataset": "d2"})


def test_what_is_known_of_other_data_is_said(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin(
        SETTINGS, {"dataset": "d1" * 9, "checkpoint": "c1"}, facts={"sizes": {"classes": 3, "train": 1000, "test": 20}}
    )
    with pytest.raises(UserError) as refusal:
        folder.check_data({"dataset": "d2" * 9}, lambda: {"classes": 4, "train": 1000, "test": 30})
    assert str(refusal.value) == (
        f"the data have changed: the run in '{tmp_path}' had 1,020 images of 3 classes (fingerprint d1d1d1d1), now "
        f"there are 1,030 images of 4 classes (fingerprint d2d2d2d2); restore the data, or search anew in another "
        f"folder (paths.run=FOLDER)"
    )
    folder.check_data({"dataset": "d1" * 9, "model": "m1"})  # an earlier version wrote no such line
    with pytest.raises(UserError, match=r"another checkpoint \(c1, now c2\)"):
        folder.check_data({"checkpoint": "c2"})


def test_moved_data_are_no_other_settings(tmp_path):
    settings = SETTINGS | {"dataset": {"path": "/a", "size": 8}}
    folder = RunFolder(tmp_path)
    folder.begin(settings, {})
    folder.check_settings(settings | {"dataset": {"path": "/b", "size": 8}})
    with pytest.raises(UserError, match=r"dataset\.size is 8 there and 9 here"):
        folder.check_settings(settings | {"dataset": {"path": "/b", "size": 9}})


def test_weights_that_a_run_keeps_are_recorded_wherever_it_lies(tmp_path):
    folder = RunFolder(tmp_path / "a")
    identity = folder.begin(SETTINGS, {"dataset": "d1"})
    folder.keep({})
    assert folder.kept() == {}
    folder.keep({tmp_path / "a/weights/supernet.pt": "w1"})
    (tmp_path / "a").rename(tmp_path / "b")
    moved = RunFolder(tmp_path / "b")
    assert moved.kept() == {tmp_path / "b/weights/supernet.pt": "w1"}
    assert moved.begin(SETTINGS, {"dataset": "d1"}) == identity
    assert moved.kept() == {tmp_path / "b/weights/supernet.pt": "w1"}


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(UserError, match=r"is no run folder: it holds thesis\.txt"):
        RunFolder(tmp_path).check_free()


def test_damaged_settings_are_named(tmp_path):
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"config\.yaml is damaged"):
        RunFolder(tmp_path).check_settings(SETTINGS)


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["/o/a/seed_0"], ("seed_0",)),
        (["/o/a/seed_0", "/o/a/seed_1"], ("seed_0", "seed_1")),
        (["/o/a/seed_0", "/o/b/seed_0", "/o/b/seed_1"], ("a/seed_0", "b/seed_0", "b/seed_1")),
        (["/a", "/o/a"], ("a", "o/a")),
    ],
)
def test_names_are_as_short_as_they_can_be(folders, names):
    assert short_names([Path(folder) for folder in folders], "pool.runs") == names


@pytest.mark.parametrize(("folders", "message"), [([], "pool.runs is empty"), (["/a", "/a"], "lists '/a' twice")])
def test_lists_that_make_no_sense_are_refused(folders, message):
    with pytest.raises(UserError, match=message):
        short_names([Path(folder) for folder in folders], "pool.runs")


@pytest.mark.parametrize("name", MOVED_CLASSES.values())
def test_classes_that_moved_are_where_they_are_said_to_be(name):
    module, _, label = name.rpartition(".")
    assert getattr(import_module(module), label).__module__ == module


def test_settings_of_earlier_versions_are_read_and_are_the_same(tmp_path):
    then = {"evaluator": {"_target_": "nas.evaluator.joint.JointEvaluator", "_partial_": True, "threads": 1}}
    now = {"evaluator": {"_target_": "nas.cascade.joint_evaluator.JointEvaluator", "threads": 1}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(then))
    folder = RunFolder(tmp_path)
    assert folder.settings()["evaluator"]["_target_"] == now["evaluator"]["_target_"]
    folder.check_settings(now)
    now["evaluator"]["threads"] = 2
    with pytest.raises(UserError, match=r"evaluator\.threads is 1 there and 2 here"):
        folder.check_settings(now)
