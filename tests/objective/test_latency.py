import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn

from nas.objective.cost import TableCost
from nas.objective.latency import BenchmarkLatency, Latency, tabulated
from nas.space.table import AdditiveTable
from tests.objective.test_timing import Clock, Takes


def test_it_is_the_median_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("nas.objective.timing.perf_counter_ns", clock)
    latency = Latency(device="cpu", batch_size=2, warmup=1, repeats=3)
    assert latency.of(Takes(clock, 70, 3, 90, 2), 8) == 3
    assert (latency.measure.name, latency.measure.unit) == ("latency", "ms")


def test_it_is_that_of_a_batch_of_the_network_s_own_size() -> None:
    seen: list[tuple[int, ...]] = []

    class Looks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(tuple(x.shape))
            return x

    assert Latency(device="cpu", batch_size=64, warmup=2, repeats=5).of(Looks(), 11) > 0
    assert seen == [(64, 3, 11, 11)] * 7


def test_it_can_be_sent_to_another_process() -> None:
    latency = Latency(device="cpu", batch_size=1, warmup=0, repeats=1)
    assert pickle.loads(pickle.dumps(latency)).of(nn.Identity(), 4) > 0


def test_searched_beside_flops(launch: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, _, err = launch(
        "sec_obj=[flops,latency]",
        "sec_obj.latency.warmup=1",
        "sec_obj.latency.repeats=3",
        "training=none",
        "tracker=csv",
        "algorithm=random",
        "algorithm.n_doe=4",
        "algorithm.n_iter=2",
        "algorithm.iterations=1",
        "evaluator.recalibration_images=16",
        "dataset.resolutions=[8]",
        "paths.run=run",
    )
    assert code == 0, err
    front = json.loads((tmp_path / "run" / "front.json").read_text())["front"]
    assert all(member["metrics"]["latency"] > 0 for member in front)


TABLE = AdditiveTable(2, [((0, 1), np.array([[1e6, 2.5e6], [3e6, 4e6]]))])


def test_replaces_a_measured_latency_where_a_benchmark_has_it():
    measured = Latency(device="cpu", batch_size=1, warmup=0, repeats=1)
    known = tabulated(measured, {"macs": TABLE, "latency": TABLE})
    assert isinstance(known, BenchmarkLatency)
    assert known.measure == measured.measure
    assert known(np.array([[0, 1], [1, 0]])).tolist() == [2.5, 3.0]
    assert known.limits() == (1.0, 4.0)
    assert tabulated(measured, {"macs": TABLE}) is measured
    flops = TableCost(cost="flops", tables={"macs": TABLE})
    assert tabulated(flops, {"macs": TABLE, "latency": TABLE}) is flops
