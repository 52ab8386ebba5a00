import json
import shutil
from pathlib import Path

import pytest
import torch

import nas
from nas.model.base import Front, Member
from nas.task.select import choose, folder_names, reason
from nas.types import Measure
from tests.model.test_old_run import DIGITS, write_old
from tests.ofa_networks import SETTINGS
from tests.rounding import rounding
from tests.sealing import change


class Given(Front):
    """A front of these objectives."""

    def __init__(self, objectives: list[tuple[float, ...]], names: tuple[str, ...] = ("flops",), **key: object) -> None:
        self.folder = Path("run")
        self.measures = (Measure("top1_error", "%"), *(Measure(name, "") for name in names))
        self.members = [Member({"d": [i], **key}, values, {}) for i, values in enumerate(objectives)]

    def source(self, index):
        raise NotImplementedError

    def source_of(self, config, name):
        raise NotImplementedError


FRONT = Given([(10.0, 400.0), (12.0, 200.0), (20.0, 150.0), (30.0, 140.0), (40.0, 100.0)])


@pytest.mark.parametrize(
    ("wanted", "n", "chosen"),
    [
        ({"top1": 80.0, "flops": 150.0}, 1, [0, 2]),  # shares 1.0; the next ones have 1.33 and 1.5
        ({"top1": 80.0, "flops": 150.0}, 2, [0, 1, 2]),
        ({"flops": 150.0}, 1, [0, 4]),
        ({"top1": 100.0}, 1, [0]),
        ({"top1": 70.0, "flops": 100.0}, 1, [0, 4]),
        ({}, 1, [0, 1]),  # where the front bends
        ({}, 9, [0, 1, 2, 3, 4]),
    ],
)
def test_choices(wanted, n, chosen):
    assert choose(FRONT, n, wanted) == chosen


def test_what_final_weights_made_worse_is_not_chosen_but_the_most_accurate_is():
    front = Given([(12.0, 200.0), (14.0, 210.0), (11.0, 180.0), (20.0, 100.0)])
    assert front.best == 2
    assert choose(front, 9, {}) == [2, 3]


def test_other_objectives_can_be_preferred():
    front = Given([(10.0, 400.0, 9.0), (12.0, 200.0, 9.0), (20.0, 150.0, 1.0)], ("flops", "latency"))
    assert choose(front, 1, {"latency": 1.0}) == [0, 2]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([400.4, 200.0], ["net-flops@400", "net-flops@200"]),
        ([400.4, 400.1], ["net-flops@400.4", "net-flops@400.1"]),
        ([0.29749, 0.0691], ["net-flops@0.2975", "net-flops@0.0691"]),
        ([7.0, 7.0], ["net-flops@7-0", "net-flops@7-1"]),
    ],
)
def test_names(values, names):
    front = Given([(10.0 + i, value) for i, value in enumerate(values)])
    assert folder_names(front, range(len(values))) == names


def test_names_of_cascades():
    assert folder_names(Given([(10.0, 50.0)], networks=["a"]), [0]) == ["cascade-flops@50"]


@pytest.mark.slow
def test_from_a_run_to_models(launch, runs, tmp_path):
    shutil.copytree(runs / "alone", tmp_path / "alone")
    words = (f"paths.cache={runs / 'cache'}", "device=cpu")
    code, out, err = launch("task=select", "run=alone", "n=2", "prefer.top1=70", "prefer.flops=0.1", *words)
    assert code == 0, err
    assert "2 closest to top1 70, flops 0.1 (n=2)" in out and "(the most accurate)" in out
    front = json.loads((tmp_path / "alone" / "front.json").read_text())["front"]
    places = sorted((tmp_path / "alone" / "selected").iterdir())
    assert 2 <= len(places) <= 3
    for place in places:
        described = json.loads((place / "model.json").read_text())
        member = front[described["source"]["index"]]
        assert place.name == described["name"] == f"net-flops@{member['objectives']['flops']:.4g}"
        assert json.loads((place / "net.subnet").read_text()) == member["architecture"]
        assert nas.load(place)(torch.rand(2, 3, 8, 8)).shape == (2, 10)
        code, out, err = launch("task=validate", f"model={place.relative_to(tmp_path)}", "split=validation", *words)
        assert code == 0, err
        results = json.loads((place / "validation" / "validation" / "results.json").read_text())
        assert results["metrics"]["top1"] == pytest.approx(member["metrics"]["top1"], abs=rounding(450))
        assert results["metrics"]["loss"] == pytest.approx(member["metrics"]["loss"], rel=1e-3)
    times = {place: (place / "model.json").stat().st_mtime_ns for place in places}
    code, out, err = launch("task=select", "run=alone", "n=1", "prefer=top1#20+flops#0.01", *words)
    assert code == 0, err
    assert "closest to top1 20, flops 0.01 (n=1); and the most accurate one, which is always written" in out
    assert out.count("is there already") >= 1
    assert {place: (place / "model.json").stat().st_mtime_ns for place in places} == times
    described = json.loads((places[0] / "model.json").read_text())
    (places[0] / "model.json").write_text(json.dumps(described | {"objectives": {}}))
    code, _, err = launch("task=select", "run=alone", "n=2", "prefer.top1=70", "prefer.flops=0.1", *words)
    assert code == 2 and f"'{places[0].relative_to(tmp_path)}' exists; add overwrite=true to replace it" in err
    code, _, err = launch("task=select", "run=alone", "n=1", "overwrite=true", *words)
    assert code == 0, err


@pytest.mark.parametrize(
    ("n", "wanted", "said"),
    [
        (3, {}, "Chosen of 5 members of the front: 3 by trade-off (n=3); and the most accurate one, which is always"),
        (1, {"top1": 100.0}, "1 closest to top1 100 (n=1), the most accurate one among them:"),
    ],
)
def test_why_there_is_one_more_than_asked_for_is_said(n, wanted, said):
    front = Given([(10.0, 400.0), (12.0, 200.0), (20.0, 150.0), (30.0, 140.0), (40.0, 100.0)])
    assert said in reason(front, n, wanted)


def test_from_cascades_to_models(launch, runs, tmp_path, monkeypatch):
    shutil.copytree(runs / "encas", tmp_path / "encas")
    shutil.copytree(runs / "alone", tmp_path / "alone")
    words = (f"paths.cache={runs / 'cache'}", "device=cpu", "save=models")  # as path= was called
    code, _, err = launch("task=select", "run=encas", "n=2", *words)
    assert code == 0, err
    places = sorted((tmp_path / "models").iterdir())
    assert all(place.name.startswith("cascade-flops@") for place in places)
    routed = nas.load(places[0])(torch.rand(4, 3, 8, 8))
    assert routed.probabilities.shape == (4, 10)


def test_results_of_the_original_tool(launch, tmp_path):
    write_old(tmp_path / "old")
    words = ["task=select", "run=old", "n=1", "prefer.top1=70", "device=cpu"]
    code, _, err = launch(*words)
    assert code == 2 and "add supernet=... dataset=..." in err
    words += ["supernet=ofa_w10", "supernet.checkpoint=random", "dataset=digits", "supernet.resolutions=[32,43]"]
    words += ["evaluator.recalibration_images=20", "evaluator.recalibration_batch_size=10"]
    code, out, err = launch(*words)
    assert code == 0, err
    assert {place.name for place in (tmp_path / "old" / "selected").iterdir()} == {"net-flops@200"}
    assert "member 0 (the most accurate), top-1 error 20 %, FLOPs 200 M" in out
    assert "1 closest to top1 70 (n=1), the most accurate one among them" in out
    described = json.loads((tmp_path / "old" / "selected" / "net-flops@200" / "model.json").read_text())
    assert described["n_classes"] == 10
    assert DIGITS["_target_"] == described["dataset"]["_target_"]
    assert described["supernet"]["seed"] == SETTINGS["seed"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run=nowhere"], "run=nowhere is no folder that exists"),
        (["run=empty"], "run: 'empty' holds no finished run"),
        ([], "run must be given: add run=VALUE"),
        (
            ["run=alone", "prefer.params=3"],
            "prefer.params is no objective of this run; its preferences may be top1, fl",
        ),
        (["run=alone", "prefer.accuracy=80"], "unknown key 'prefer.accuracy'"),
        (["run=alone", "prefer=top1#high"], "prefer=top1#high is wrong: write prefer.top1=80 prefer.flops=150, or pr"),
        (
            ["run=alone", "prefer=top1"],
            "prefer=top1 is wrong: write prefer.top1=80 prefer.flops=150, or prefer=top1#80",
        ),
        (["run=alone", "prefer.top1=180"], "prefer.top1=180 is wrong: an accuracy is at most 100 percent"),
        (["run=alone", "prefer.top1=-3"], "prefer.top1=-3 is wrong"),
        (["run=alone", "prefer.top1=high"], "prefer.top1='high' is wrong"),
        (["run=alone", "n=0"], "n=0 is wrong"),
        (["run=alone", "path=file/models"], "file is not a folder you may write to"),
        (["run=unfinished"], "holds no finished run"),
        (["run=frontless"], "holds no finished run"),
        (["run=emptied"], "the front of 'emptied' is empty"),
        (["run=models"], "name it with model=models"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(launch, runs, tmp_path, words, message):
    for name in ("alone", "unfinished", "frontless", "emptied"):
        shutil.copytree(runs / "alone", tmp_path / name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.json").write_text("{}")
    (tmp_path / "file").write_text("")
    (tmp_path / "unfinished" / "status.json").write_text('{"state": "running"}')
    (tmp_path / "frontless" / "front.json").unlink()
    change(tmp_path / "emptied" / "front.json", front=[])
    before = sorted(tmp_path.rglob("*"))
    code, _, err = launch("task=select", *words, f"paths.cache={runs / 'cache'}", "device=cpu")
    assert code == 2
    assert message in err and len(err.strip().splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before
