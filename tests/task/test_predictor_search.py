"""``evaluator=predictor`` from the command line."""

import json

import pytest
import torch

from nas.run_folder import RunFolder
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
