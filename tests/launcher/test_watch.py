import json
from pathlib import Path

import pytest

from nas.launcher.watch import Watch, watched
from nas.sweep import PlannedRun, SweepFolder


@pytest.fixture
def sweep(tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    folder.begin("local", [PlannedRun(f"seed={n}", tmp_path / str(n), (), tmp_path) for n in range(2)], {})
    return folder


def says(folder: Path, state: str, **facts) -> None:
    folder.mkdir(exist_ok=True)
    known = {"state": state, "host": "elsewhere", "heartbeat": "2999-01-01T00:00:00+00:00", "error": None}
    (folder / "status.json").write_text(json.dumps(known | facts))


def test_each_change_of_a_run_is_a_line(sweep, tmp_path, capsys):
    watch = Watch(sweep.rows())
    watch.show(sweep.rows())
    assert capsys.readouterr().out == ""
    says(tmp_path / "0", "running")
    log = tmp_path / "0" / "run.log"
    log.write_text("[t][nas.tracker.together][INFO] training the supernet 3/30  1 min 5 s\n[t][other][INFO] x 1/2\n")
    watch.show(sweep.rows())
    says(tmp_path / "0", "running", step=1, steps=4, hypervolume=0.5)
    log.write_text("[t][nas.tracker.together][INFO] step 1/3  28 evaluations\n")
    times = [json.dumps({"step": step, "seconds": {"evaluate": 10.0}}) for step in (0, 1)]
    (tmp_path / "0" / "times.jsonl").write_text("\n".join(times))
    watch.show(sweep.rows())
    watch.show(sweep.rows())
    says(tmp_path / "1", "failed", error="ValueError: no images")
    watch.show(sweep.rows())
    assert capsys.readouterr().out.splitlines() == [
        "seed=0: running  training the supernet 3/30  1 min 5 s",
        "seed=0: running  step 1/3  hypervolume 0.5000  about 20 s left",
        "seed=1: failed (ValueError: no images)",
    ]


def test_the_last_change_is_shown_when_the_runs_have_ended(sweep, tmp_path, capsys):
    with watched(sweep):
        says(tmp_path / "1", "failed", error="no images")
    assert capsys.readouterr().out == "seed=1: failed (no images)\n"
