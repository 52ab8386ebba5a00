"""``evaluator=predictor`` from the command line."""

import csv
import json

import pytest
import torch

from nas.files import sealed, write_json
from nas.run.archive import Archive
from nas.run.folder import RunFolder
from tests.quick_search import write_predictor

WORDS = (
    "evaluator=predictor",
    "supernet=ofa_w10",
    "supernet.checkpoint=random",
    "tracker=csv",
    "algorithm=random",
    "algorithm.n_doe=6",
    "algorithm.n_iter=2",
    "algorithm.iterations=1",
    "paths.run=run",
)
FITTING = "supernet.resolutions=[160,208]"


@pytest.fixture
def predictor(tmp_path):
    """The file of a predictor with random weights."""
    return write_predictor(tmp_path / "predictor.pth")


def test_runs_without_images_and_within_constraints(launch, predictor, tmp_path):
    code, out, err = launch(*WORDS, FITTING, f"evaluator.checkpoint={predictor}", "constraints.flops.max=250")
    assert code == 0, err
    assert "Front: " in out
    assert RunFolder(tmp_path / "run").is_finished()
    front = json.loads((tmp_path / "run" / "front.json").read_text())
    assert front["evaluations"] == 8
    for member in front["front"]:
        assert member["objectives"]["flops"] <= 250
        assert member["test"] == pytest.approx(
            member["metrics"], rel=1e-5
        )  # single precision, in batches of other sizes
    assert not list((tmp_path / "run").glob("iter_*/"))  # whole arrays at once leave no files for each network


def front(folder):
    return json.loads((folder / "front.json").read_text())


def corners(folder):
    return {key: front(folder)[key] for key in ("reference_point", "ideal_point", "box_rule")}


def test_runs_that_differ_in_the_seed_have_one_box_of_hypervolumes(launch, predictor, tmp_path):
    """It is that of the space and of guessing, within constraints; each table of a sweep states it once."""
    settings = (*WORDS[:-1], FITTING, f"evaluator.checkpoint={predictor}", "constraints.flops.max=250")
    code, out, err = launch("-m", "seed=0,1", *settings, "hydra/launcher=basic")
    assert code == 0, err
    runs = sorted(tmp_path.glob("outputs/*/seed_*"))
    for run in runs:
        found = corners(run)
        assert found["reference_point"] == pytest.approx([99.9, 252.5])
        assert found["box_rule"] == "space"
        assert found["ideal_point"][0] == 0 and 60 < found["ideal_point"][1] < 70  # the smallest network's
        assert front(run)["front"] != front(runs[1 - runs.index(run)])["front"]
    assert corners(runs[0]) == corners(runs[1])
    lines = [line for line in out.splitlines() if line.startswith("hypervolume: ")]
    assert lines == ["hypervolume: share of the box top-1 error 0 to 99.9 %, FLOPs 63.24 to 252.5 M"]


def test_a_run_begun_before_boxes_were_recorded_keeps_its_own(launch, predictor, tmp_path):
    words = (*WORDS, FITTING, f"evaluator.checkpoint={predictor}")
    assert launch(*words)[0] == 0
    run = tmp_path / "run"
    known = RunFolder(run).identity()
    write_json(run / "run.json", sealed({key: known[key] for key in known if key not in ("box", "about", "images")}))
    RunFolder(run).write_status("interrupted")
    code, out, err = launch(*words)
    assert code == 0, err
    archive = Archive.reopen(run / "archive.jsonl")
    own = {"reference_point": archive.reference_point().tolist(), "ideal_point": [0.0, 0.0]}
    assert corners(run) == own | {"box_rule": "initial design"}
    assert "not comparable: set reference_point" in out
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    assert {float(row["reference_flops"]) for row in rows} == {own["reference_point"][1]}
    assert float(rows[-1]["hypervolume"]) == front(run)["hypervolume"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((FITTING, "evaluator.checkpoint=absent.pth"), "'absent.pth' does not exist"),
        ((FITTING, "evaluator.checkpoint=other.pth"), "other.pth is not OFA's accuracy predictor"),
        ((FITTING, "evaluator.checkpoint=text.pth"), "'text.pth' cannot be read"),
        ((FITTING, "evaluator.checkpoint=random"), "evaluator.checkpoint=random predicts nothing"),
        ((FITTING, "store_outputs=true"), "store_outputs=true needs networks that are evaluated on images"),
        (("supernet=tiny",), "knows OFA's MobileNetV3 alone: use supernet=ofa_w12 or ofa_w10"),
        (("supernet=ofa_resnet50",), "evaluator=predictor knows OFA's MobileNetV3 alone"),
        (("supernet.resolutions=[192,196]",), "evaluator=predictor does not know supernet.resolutions 196"),
    ],
)
def test_wrong_files_and_spaces_are_refused_in_one_line(launch, predictor, tmp_path, words, message):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no tensors")
    base = [word for word in WORDS if "supernet=tiny" not in words or not word.startswith("supernet")]
    code, _, err = launch(*base, f"evaluator.checkpoint={predictor}", *words)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1, err
    assert not (tmp_path / "run").exists()


def test_what_is_measured_on_networks_is_refused_before_any_work(launch, predictor, tmp_path):
    code, _, err = launch(*WORDS, FITTING, f"evaluator.checkpoint={predictor}", "sec_obj=[latency]")
    assert code == 2
    assert "sec_obj=latency is measured on networks, and evaluator=predictor runs none: choose sec_obj=[flops]" in err
    assert not (tmp_path / "run").exists()
