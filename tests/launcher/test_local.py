import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas.launcher.local import Local
from nas.run.folder import RunFolder
from nas.run.lease import lease
from nas.sweep import SweepFolder
from tests.cluster import until
from tests.launcher.test_supervision import STATUS, planned, starts, state

END = f"{STATUS}status.write('finished')"
LAUNCH = """
import sys; from pathlib import Path
from nas.launcher.local import Local; from nas.run.lease import lease; from nas.sweep import PlannedRun, SweepFolder
folder, code = Path(sys.argv[1]), sys.argv[2]
runs = [PlannedRun(f"seed={n}", folder / str(n), (sys.executable, "-c", code, str(folder / str(n))), Path.cwd())
        for n in range(2)]
sweep = SweepFolder(folder / "sweep")
with lease(sweep.path):
    sweep.begin("local", runs, {})
    Local(workers=1, restarts=0).launch(sweep, runs)
"""


@pytest.fixture
def sweep(tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    folder.path.mkdir()
    return folder


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.long
def test_all_runs_run_and_a_crash_takes_nobody_with_it(tmp_path, sweep, workers):
    codes = [END, "os.kill(os.getpid(), signal.SIGSEGV)", "sys.exit('error: no images')", END]
    runs = [planned(tmp_path / str(n), code) for n, code in enumerate(codes)]
    said = Local(workers=workers, restarts=0).launch(sweep, runs)
    assert said == "4 runs started here"
    assert [state(run) for run in runs] == [
        ("finished", None),
        ("failed", "killed by SIGSEGV"),
        ("failed", "no images"),
        ("finished", None),
    ]


def test_one_worker_runs_one_after_the_other(tmp_path, sweep):
    code = "open('../order', 'a').write(folder.name); time.sleep(0.1); open('../order', 'a').write(folder.name)"
    runs = [planned(tmp_path / str(n), f"os.chdir(folder); {code}") for n in range(3)]
    Local(workers=1, restarts=0).launch(sweep, runs)
    assert (tmp_path / "order").read_text() == "001122"


@pytest.mark.long
def test_several_workers_print_into_logs(tmp_path, sweep, capfd):
    runs = [planned(tmp_path / str(n), "print('step 1')") for n in range(2)]
    Local(workers=2, restarts=0).launch(sweep, runs)
    assert capfd.readouterr().out == ""
    assert (sweep.path / "logs" / "seed=0.log").read_text().count("step 1") == 2  # both have this label here


@pytest.mark.long
def test_a_run_that_somebody_else_has_begun_is_left_alone(tmp_path, sweep):
    run = planned(tmp_path / "run", END)
    RunFolder(run.folder).write_status("running")
    with lease(run.folder):
        Local(workers=1, restarts=0).launch(sweep, [run])
    assert starts(run) == []


@pytest.mark.long
def test_asked_to_stop_it_stops_its_runs(tmp_path):
    run = (
        "import sys, time; from pathlib import Path; from nas.run.status import StatusFile\n"
        "folder = Path(sys.argv[1]); folder.mkdir()\n"
        "with StatusFile(folder / 'status.json').kept(): (folder / 'ready').write_text(''); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", LAUNCH, str(tmp_path), run])
    until((tmp_path / "0" / "ready").exists, every=0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM
    assert RunFolder(tmp_path / "0").status.read()["state"] == "interrupted"
    assert not (tmp_path / "1" / "ready").exists()


@pytest.mark.long
def test_detached_it_goes_on_without_this_process(tmp_path, sweep):
    """The other process holds the sweep's folder as soon as it is at work."""
    hold = (
        "import sys, time; from pathlib import Path; from nas.run.lease import lease\n"
        "folder = Path(sys.argv[1])\n"
        "with lease(folder): print('at work', flush=True); time.sleep(0.5); (folder / 'done').write_text('')"
    )
    command = [sys.executable, "-c", hold, str(sweep.path)]
    said = Local(workers=1, restarts=0).detach(sweep, [], command)
    assert "go on as process" in said
    assert not (sweep.path / "done").exists()
    until((sweep.path / "done").exists, every=0.02)
    assert (sweep.path / "launcher.log").read_text() == "at work\n"
    time.sleep(0.1)  # it ends before its folder is removed
    assert Path(sweep.path).is_dir()
