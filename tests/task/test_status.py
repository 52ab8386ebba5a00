import pytest

from nas.run.folder import RunFolder
from nas.sweep import PlannedRun, SweepFolder


@pytest.fixture
def sweep(tmp_path):
    folder = SweepFolder(tmp_path / "outputs" / "sweeps" / "digits-tiny-81fa02")
    runs = [PlannedRun(f"seed={n}", tmp_path / "outputs" / "digits" / f"seed_{n}", (), tmp_path) for n in range(2)]
    folder.begin("local", runs, {})
    RunFolder(runs[0].folder).write_status("failed", step=3, steps=9, error="MemoryError: too large")
    return folder


@pytest.mark.parametrize("name", ["digits-tiny-81fa02", "outputs/sweeps/digits-tiny-81fa02", "mine/digits-tiny.yaml"])
def test_every_run_is_shown_and_nothing_is_changed(name, launch, sweep, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    code, out, err = launch("task=status", f"sweep={name}")
    assert (code, err) == (0, "")
    header, first, second, last = out.splitlines()
    assert header.split()[:3] == ["run", "state", "step"]
    assert first.split()[:3] == ["seed=0", "failed", "3/8"]
    assert first.endswith("MemoryError: too large")
    assert second.split() == ["seed=1", "new"]
    assert last == "2 runs: 1 failed, 1 new"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_an_unknown_sweep_is_named_with_the_choices(launch, sweep):
    code, _, err = launch("task=status", "sweep=digits-tiny-81fa03")
    assert code == 2
    assert err == (
        "error: unknown sweep 'digits-tiny-81fa03'; did you mean 'digits-tiny-81fa02'? (choices: digits-tiny-81fa02)\n"
    )


def test_where_there_is_no_sweep_it_says_so(launch, tmp_path):
    code, _, err = launch("task=status", "sweep=x")
    assert (code, err) == (2, "error: sweep=x is no folder, and there is no sweep in outputs/sweeps\n")


def test_a_folder_that_is_no_sweep(launch, sweep):
    code, _, err = launch("task=status", "sweep=outputs")
    assert (code, err) == (2, "error: outputs holds no sweep\n")
