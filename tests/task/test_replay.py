import json

import pytest

from tests.quick_search import WORDS, write_predictor
from tests.tracker.wandb_runs import offline_runs, reads_offline_runs


@pytest.fixture
def finished(launch, tmp_path):
    write_predictor(tmp_path / "predictor.pth")
    code, _, err = launch(*WORDS)
    assert code == 0, err
    return tmp_path / "run"


@reads_offline_runs
@pytest.mark.filterwarnings("ignore:unclosed file")  # the reader's
def test_a_finished_run_is_replayed_under_its_own_id_and_names(launch, finished):
    kept = (finished / "archive.jsonl").read_bytes()
    for _ in range(2):
        code, out, err = launch("task=replay", "run=run", "tracker=wandb")
        assert (code, err) == (0, "")
        assert out.splitlines()[-1] == "Replayed 3 steps of run"
        (run,) = offline_runs(finished)  # the second replay takes the place of the first
        known = json.loads((finished / "run.json").read_text())
        assert run["run"]["id"] == known["id"]
        assert (run["run"]["name"], run["run"]["group"]) == (known["labels"]["name"], known["labels"]["group"])
        assert [(row["_step"], row["step"]) for row in run["history"]] == [(0, 0), (1, 1), (2, 2)]
        assert [row["evaluations"] for row in run["history"]] == [6, 8, 10]
        assert "front_picture.path" in run["history"][-1]
        assert run["config"]["algorithm"]["n_doe"] == 6
        assert run["config"]["box"]["box_rule"] == "space"
        assert run["config"]["about"]["budget"] == "10 evaluations in 3 steps"
        assert run["config"]["git"] == known["starts"][-1]["git"]
        front = json.loads((finished / "front.json").read_text())
        assert run["summary"]["test/top1_error"] == pytest.approx(100 - front["front"][0]["test"]["top1"])
        assert run["exit"] == 0
    assert (finished / "archive.jsonl").read_bytes() == kept
    assert len(known["starts"]) == 1


def test_the_table_of_a_run_is_made_again(launch, finished):
    before = (finished / "metrics.csv").read_text()
    (finished / "metrics.csv").unlink()
    code, _, err = launch("task=replay", "run=run", "tracker=csv")
    assert (code, err) == (0, "")
    assert (finished / "metrics.csv").read_text() == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "config.yaml").unlink(), "is no folder of a run"),
        (lambda run: (run / "run.json").write_text("["), "run.json is damaged"),
        (lambda run: (run / "archive.jsonl").write_text("{"), "line 1 is damaged"),
    ],
)
def test_what_is_no_run_is_refused_before_anything_is_written(launch, finished, damage, message):
    damage(finished)
    code, _, err = launch("task=replay", "run=run", "tracker=wandb")
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (finished / "wandb").exists()
