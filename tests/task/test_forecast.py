"""Forecasts of runs; whole ones, from the command line, are in ``tests/cli/test_estimating.py``."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nas.errors import UserError
from nas.experiment import Experiment
from nas.settings import Paths
from nas.supernet.joint import JointSupernet
from nas.task import forecast
from nas.task.forecast import Forecast, _batches, _disk, _evaluated, _front, _without_weights
from nas.task.made_up import archive
from tests.small import Bars
from tests.tabular import Tabular

OFA: dict[str, Any] = {
    "_target_": "nas.supernet.ofa_mobilenet.OfaMobileNet", "width": 1.0, "resolutions": [64],
    "checkpoint": "absent.pth", "dropout": 0.0, "drop_path": 0.0, "gradient_checkpointing": False, "seed": 0,
}  # fmt: skip


def experiment(tmp_path: Path, node: dict[str, Any]) -> Experiment:
    paths = Paths(cache=tmp_path, outputs=tmp_path, networks=tmp_path, run=tmp_path / "run")
    return Experiment({"supernet": node}, paths=paths, parts={"dataset": Bars(), "device": "cpu"})


def test_weights_are_not_read_but_count_as_there(tmp_path):
    assert _without_weights(experiment(tmp_path, OFA)).trained
    joint = {"_target_": "nas.supernet.joint.JointSupernet", "members": {"a": OFA, "b": OFA | {"width": 1.2}}}
    supernet = _without_weights(experiment(tmp_path, joint))
    assert isinstance(supernet, JointSupernet)
    assert [each.trained for each in (supernet, *supernet.members.values())] == [True, True, True]
    with pytest.raises(UserError, match=r"absent\.pth"):
        experiment(tmp_path, OFA).supernet  # noqa: B018 -- built


def test_the_first_architecture_warms_up_and_time_ends_it(space, monkeypatch):
    evaluator = Tabular(space)
    architectures = [space.decode(genome) for genome in space.sample(6, np.random.default_rng(0))]
    metrics, seconds = _evaluated(evaluator, architectures)
    assert evaluator.calls == 7
    assert metrics == evaluator(architectures, "validation")
    assert seconds > 0
    monkeypatch.setattr(forecast, "_EVALUATION_SECONDS", 0.0)
    assert len(_evaluated(evaluator, architectures)[0]) == 1


@pytest.mark.parametrize(("evaluations", "steps", "sizes"), [(70, 4, [40, 10, 10, 10]), (350, 1, [350])])
def test_the_batches_of_a_run(evaluations, steps, sizes):
    setup: Any = SimpleNamespace(resolved={"algorithm": {"n_iter": 10}})
    assert _batches(setup, evaluations, steps) == sizes


def test_fronts_grow_slower_than_archives():
    assert [_front(n) for n in (1, 4, 100, 10_000)] == [1, 4, 20, 200]


def test_disk_is_near_what_a_search_leaves(space, make_search, tmp_path):
    search, real = make_search(tmp_path)
    search.run(False)
    sizes = [16, 4, 4, 4]
    made = archive(space, search._objectives, [real.history[0].metrics], sizes[:2], np.random.default_rng(0))
    found = _disk(made, sizes)
    assert found["archive"] == pytest.approx((tmp_path / "archive.jsonl").stat().st_size, rel=0.25)
    folders = [path for path in tmp_path.glob("iter_*/*") if path.suffix in {".stats", ".subnet"}]
    tables = [path.stat().st_size for path in tmp_path.glob("iter_*.stats")]
    assert len(folders) == 2 * 28
    assert 4096 * len(folders) + sum(tables) <= found["stats"] <= 4096 * (len(folders) + 2 * len(tables)) + sum(tables)


def test_a_run_takes_what_its_parts_take():
    one = Forecast(1, {"train": 2.0, "search": 1.5}, {}, {"a": 9.0}, {}, 4, "cpu", "")
    assert one.total_seconds == 3.5
