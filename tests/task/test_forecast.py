"""Forecasts of runs; whole ones, from the command line, are in ``tests/cli/test_estimating.py``."""

from functools import partial
from inspect import signature
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nas.supernet.joint import Several
from nas.task import forecast
from nas.task.forecast import Forecast, _batches, _disk, _evaluated, _front, _without_weights
from nas.task.made_up import archive
from tests.tabular import Tabular


class Published:
    """A supernet whose weights are nowhere."""

    def __init__(self, *, n_classes: int, width: float, checkpoint: str | None) -> None:
        if checkpoint != "random":
            raise FileNotFoundError(checkpoint)
        self.trained = False
        self.size = n_classes * width


def test_weights_are_not_read_but_count_as_there():
    make = _without_weights(partial(Published, width=1.2, checkpoint=None))
    assert "n_classes" in signature(make).parameters
    supernet: Any = make(n_classes=10)
    assert (supernet.trained, supernet.size) == (True, 12)
    random = partial(Published, width=1.2, checkpoint="random")
    assert _without_weights(random) is random
    whole = partial(Several, members={"a": partial(Published, width=1.0, checkpoint="a.pth"), "b": random})
    members = _without_weights(whole).keywords["members"]
    assert members["a"](n_classes=10).trained
    assert not members["b"](n_classes=10).trained


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
