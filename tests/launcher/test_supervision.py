import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nas.launcher.supervision import Supervised
from nas.run.folder import RunFolder
from nas.run.lease import lease
from nas.sweep import PlannedRun
from tests.cluster import until
from tests.faults import alive

ROOT = Path(__file__).parents[2]


def planned(folder: Path, code: str) -> PlannedRun:
    """A run whose process writes its pid into ``starts`` and then does what ``code`` says; ``n`` counts its starts."""
    start = (
        "import os, signal, sys, time; from pathlib import Path\n"
        f"folder = Path({str(folder)!r}); folder.mkdir(parents=True, exist_ok=True)\n"
        "file = (folder / 'starts').open('a'); print(os.getpid(), file=file, flush=True)\n"
        "n = len((folder / 'starts').read_text().splitlines())\n"
    )
    return PlannedRun("seed=0", folder, (sys.executable, "-c", start + code), ROOT)


def starts(run: PlannedRun) -> list[int]:
    path = run.folder / "starts"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def state(run: PlannedRun) -> tuple[str | None, str | None]:
    facts = RunFolder(run.folder).status.read()
    return facts.get("state"), facts.get("error")


KILL = "os.kill(os.getpid(), signal.SIGKILL)\n"
STATUS = "from nas.run.status import StatusFile; status = StatusFile(folder / 'status.json')\n"


def test_a_run_that_dies_without_a_word_is_started_again(tmp_path):
    run = planned(tmp_path / "run", f"if n < 3: {KILL}")
    assert Supervised(run, 3, tmp_path / "log").run() == 0
    assert len(starts(run)) == 3


def test_a_run_that_dies_again_and_again_has_failed(tmp_path):
    run = planned(tmp_path / "run", KILL)
    assert Supervised(run, 2, None).run() == -signal.SIGKILL
    assert len(starts(run)) == 3
    assert state(run) == ("failed", "killed by SIGKILL (out of memory?)")


def test_a_crash_is_named(tmp_path):
    run = planned(tmp_path / "run", "os.kill(os.getpid(), signal.SIGSEGV)")
    assert Supervised(run, 0, None).run() == -signal.SIGSEGV
    assert state(run) == ("failed", "killed by SIGSEGV")


def test_deaths_with_progress_between_them_do_not_count(tmp_path):
    run = planned(tmp_path / "run", f"{STATUS}status.write('running', step=n)\nif n < 5: {KILL}")
    assert Supervised(run, 1, None).run() == 0
    assert len(starts(run)) == 5


def test_a_run_that_fails_is_not_started_again_and_its_last_words_are_kept(tmp_path, capfd):
    run = planned(tmp_path / "run", "sys.exit('error: device=cuda is not there')")
    assert Supervised(run, 3, None).run() == 1
    assert len(starts(run)) == 1
    assert state(run) == ("failed", "device=cuda is not there")
    assert "error: device=cuda is not there" in capfd.readouterr().err


def test_what_the_run_said_itself_stays(tmp_path):
    run = planned(tmp_path / "run", f"{STATUS}status.write('failed', error='ValueError: 3'); sys.exit(1)")
    assert Supervised(run, 3, None).run() == 1
    assert state(run) == ("failed", "ValueError: 3")


def test_a_run_that_somebody_else_has_taken_is_theirs(tmp_path):
    run = planned(tmp_path / "run", "sys.exit('error: the run folder is in use')")
    RunFolder(run.folder).write_status("running")
    with lease(run.folder):
        Supervised(run, 3, None).run()
    assert state(run) == ("running", None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_stops(tmp_path, number):
    run = planned(
        tmp_path / "run",
        "signal.signal(signal.SIGINT, signal.SIG_DFL); (folder / 'ready').write_text(''); time.sleep(60)",
    )
    child = Supervised(run, 3, None)
    thread = threading.Thread(target=child.run)
    thread.start()
    until((run.folder / "ready").exists, every=0.01)
    child.stop(number)
    thread.join(10)
    assert not thread.is_alive()
    assert state(run) == ("interrupted", "stopped")
    assert len(starts(run)) == 1


def test_stopped_before_it_began_it_never_begins(tmp_path):
    run = planned(tmp_path / "run", "")
    child = Supervised(run, 3, None)
    child.stop()
    child.run()
    assert starts(run) == []


def test_output_goes_to_the_log(tmp_path):
    run = planned(tmp_path / "run", "print('step 1', flush=True); print('warning', file=sys.stderr)")
    Supervised(run, 3, tmp_path / "log").run()
    assert set((tmp_path / "log").read_text().splitlines()) == {"step 1", "warning"}


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
def test_a_run_ends_when_the_process_that_watches_it_is_killed(tmp_path):
    run = planned(tmp_path / "run", "from nas.launcher.supervision import stop_with_watcher; stop_with_watcher()\n"
                  "(folder / 'ready').write_text(''); time.sleep(60)")  # fmt: skip
    watch = (
        "import sys; from pathlib import Path\n"
        "from nas.launcher.supervision import Supervised; from nas.sweep import PlannedRun\n"
        "Supervised(PlannedRun('', Path(sys.argv[1]), tuple(sys.argv[2:]), Path.cwd()), 0, None).run()"
    )
    watching = subprocess.Popen([sys.executable, "-c", watch, str(run.folder), *run.command], cwd=ROOT)
    until((run.folder / "ready").exists)
    watching.kill()
    watching.wait()
    until(lambda: not alive(starts(run)[0]))
