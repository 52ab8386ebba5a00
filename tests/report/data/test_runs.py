import pytest

from nas.errors import ArchiveError, UserError
from nas.report.data.runs import find_runs, read_run
from tests.report.made import SETTINGS, made_run, write_run
from tests.report.made_papers import cascades


def test_folders_of_runs_globs_and_runs_are_found_once(tmp_path, monkeypatch):
    places = [write_run(tmp_path / "a" / "deep" / f"seed_{i}", seed=i, steps=1) for i in range(2)]
    other = write_run(tmp_path / "b" / "seed_0", steps=1)
    (other / "wandb" / "files").mkdir(parents=True)
    (other / "wandb" / "files" / "config.yaml").write_text("a: 1")  # a run folder is not searched
    monkeypatch.chdir(tmp_path)
    assert find_runs(["."]) == [*places, other]
    assert find_runs(["a", "a/deep/seed_1", "b/seed_*"]) == [*places, other]
    assert find_runs(["**/seed_1"]) == places[1:]


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ([], "runs is empty"),
        (["nowhere"], "'nowhere' does not exist"),
        (["empty"], "'empty' is no run folder and holds none"),
        (["file"], "'file' is no run folder and holds none"),
        (["x*"], r"'x\*' does not exist"),
    ],
)
def test_what_leads_nowhere_is_refused(tmp_path, monkeypatch, patterns, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        find_runs(patterns)


def test_states_failures_and_measurements(tmp_path):
    run = made_run(tmp_path / "a", failing=True, state="failed")
    assert (run.state, run.error, run.seed) == ("failed", "RunError: <b>out</b> of luck", 0)
    assert [(f.architecture, f.reason) for f in run.failures] == [
        (f"it_{step}_net_1", "MemoryError: no room") for step in (1, 2, 3)
    ]
    assert run.test == {}
    assert run.seconds[2] == {"fit": 1.0, "evaluate": 3.0}
    finished = made_run(tmp_path / "b")
    assert finished.state == "finished" and len(finished.test) == len(finished.record.front())
    assert made_run(tmp_path / "c", state="running").state == "unfinished"


def test_a_run_without_a_step_has_no_results(tmp_path):
    folder = write_run(tmp_path / "a", state="running")
    (folder / "archive.jsonl").unlink()
    assert read_run("a", folder).record is None


@pytest.mark.parametrize("content", [None, "a: [", "- 1\n", "seed: x\n"])
def test_damaged_settings_are_refused(tmp_path, content):
    folder = write_run(tmp_path / "a")
    path = folder / "config.yaml"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(ArchiveError, match=r"config\.yaml"):
        read_run("a", folder)


@pytest.mark.parametrize("name", ["status.json", "run.json", "times.jsonl", "front.json"])
def test_other_damaged_files_cost_what_they_say_alone(tmp_path, name):
    folder = write_run(tmp_path / "a")
    (folder / name).write_text('{"a"')
    run = read_run("a", folder)
    assert run.record is not None and len(run.record.step) > 12


def test_runs_that_networks_come_from_are_found_from_anywhere(tmp_path, monkeypatch):
    write_run(tmp_path / "outputs" / "a" / "seed_0", steps=1)
    settings = cascades(*[(tmp_path / "outputs" / "a" / "seed_0").relative_to(tmp_path)])
    run = made_run(tmp_path / "outputs" / "c" / "seed_0", settings=settings, steps=1)
    monkeypatch.chdir("/")
    assert run.pool_folders() == [tmp_path / "outputs" / "a" / "seed_0"]
    assert run.pool_settings() == SETTINGS | {"seed": 0}
    gone = made_run(tmp_path / "d", settings=cascades(tmp_path / "gone"), steps=1)
    assert gone.pool_folders() == [tmp_path / "gone"] and gone.pool_settings() == {}
    assert made_run(tmp_path / "e", steps=1).pool_folders() == []


@pytest.mark.parametrize("text", ["", "hydra: 3", "[", "hydra: {runtime: {choices: [a]}}"])
def test_choices_that_are_not_there_are_none(tmp_path, text):
    folder = write_run(tmp_path / "a", steps=1)
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "hydra.yaml").write_text(text)
    assert read_run("a", folder).choices == {}
