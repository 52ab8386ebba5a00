import json

import numpy as np
import pytest

from nas.errors import UserError
from nas.evaluator.subnet import SubnetEvaluator
from nas.experiment import Experiment
from nas.objective.base import Cost, Measurement
from nas.objective.cost import bounds
from nas.pool.runs import RunsPool
from nas.run.folder import RunFolder
from nas.settings import Paths
from nas.task.search import SearchTask
from nas.types import Measure
from tests.small import Bars

SMALL = (
    "training=none",
    "tracker=csv",
    "algorithm.n_doe=24",
    "algorithm.iterations=0",
    "evaluator.recalibration_images=64",
    "dataset.resolutions=[8]",
    "paths.run=run",
)


def test_a_folder_in_use_is_refused_with_its_owner(launch, tmp_path):
    with RunFolder(tmp_path / "run").lease():
        code, _, err = launch(*SMALL)
    assert code == 2
    assert "is in use by process" in err


def test_what_failed_is_tried_again_on_request(launch, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        evaluate = "nas.evaluator.subnet.SubnetEvaluator.__call__"
        real = SubnetEvaluator.__call__
        calls = []

        def third_fails(self, architectures, split):
            calls.append(architectures)
            if calls[0][2] in architectures:
                raise MemoryError("too large")
            return real(self, architectures, split)

        patch.setattr(evaluate, third_fails)
        code, out, err = launch(*SMALL)
    assert code == 0, err
    assert "(1 failed, see " in out
    assert "MemoryError: too large" in (tmp_path / "run" / "failed" / "it_0_net_2.traceback").read_text()
    code, out, err = launch(*SMALL, "retry_failed=true")
    assert code == 0, err
    assert "failed, see" not in out
    front = json.loads((tmp_path / "run" / "front.json").read_text())
    assert front["evaluations"] == 24


def test_the_front_is_measured_on_the_test_set_once(launch, tmp_path):
    code, _, err = launch(*SMALL)
    assert code == 0, err
    front = json.loads((tmp_path / "run" / "front.json").read_text())["front"]
    assert len(list((tmp_path / "run" / "test").glob("*.stats"))) == len(front)
    assert any(member["test"]["top1"] != member["metrics"]["top1"] for member in front)


def test_outputs_of_the_front_are_stored_on_request(launch, tmp_path, monkeypatch):
    code, _, err = launch(*SMALL, "paths.cache=cache", "store_outputs=true", "device=cpu")
    assert code == 0, err
    monkeypatch.setattr(SubnetEvaluator, "logits", None)  # nothing is evaluated again
    pool = RunsPool(runs=(tmp_path / "run",), workers=1, device="cpu", cache=tmp_path / "cache")
    pool.prepare(lambda *_: None)
    front = json.loads((tmp_path / "run" / "front.json").read_text())["front"]
    assert len(pool.names) == len(front)
    right = pool.outputs("test").probabilities.argmax(axis=2) == pool.outputs("test").labels
    expected = [member["test"]["top1"] for member in front]
    assert [100 * float(row.mean()) for row in right] == pytest.approx(expected, abs=1.5)  # half precision makes ties


@pytest.mark.parametrize(("checkpoint", "told"), [(None, True), ("random", False)])
def test_published_weights_for_a_thousand_other_classes_are_told(checkpoint, told, tmp_path, caplog):
    dataset = Bars()
    dataset.class_names = tuple(f"name {i:03}" for i in range(1000))
    paths = Paths(cache=tmp_path, outputs=tmp_path, networks=tmp_path, run=tmp_path / "run")
    node = {"_target_": "nas.supernet.ofa_mobilenet.OfaMobileNet", "checkpoint": checkpoint}
    experiment = Experiment({"supernet": node}, paths=paths, parts={"dataset": dataset})
    SearchTask(experiment=experiment)._tell_of_classes()
    text = "the names of the classes of the published weights are unknown: its outputs are taken for the data set's"
    assert (text in caplog.text) == told


class OwnCost(Cost):
    """Known for any architecture."""

    measure = Measure("mine", "J")

    def __call__(self, genomes):
        return np.ones(len(genomes))


class OwnMeasurement(Measurement):
    """Found when an architecture is evaluated."""

    measure = Measure("power", "W")

    def of(self, network, resolution):
        return 1.0


def test_costs_of_ones_own_are_bounded(tables):
    (bound,) = bounds({"mine": {"max": 3.0}, "power": {"max": None}}, [OwnCost(), OwnMeasurement()], tables)
    assert (bound.name, bound.least, bound.most) == ("mine", None, 3.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "power",
            r"constraints\.power: power is measured, and only costs that are known before an .*\(flops, params, mine\)",
        ),
        ("top1_error", r"constraints\.top1_error: top1_error is measured.* leave the bound out.*task=select"),
        ("latency", r"constraints\.latency: latency is measured"),
        ("latency_table", r"constraints\.latency_table needs sec_obj=latency_table"),
        (
            "mnie",
            r"unknown key 'constraints\.mnie'; did you mean 'constraints\.mine'\? \(choices: constraints\.flops, ",
        ),
    ],
)
def test_a_bound_that_cannot_be_kept(name, message, tables):
    with pytest.raises(UserError, match=f"^{message}"):
        bounds({name: {"max": 50.0}}, [OwnCost(), OwnMeasurement()], tables)
