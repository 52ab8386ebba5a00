import numpy as np

from nas.objective.benchmark_latency import BenchmarkLatency, tabulated
from nas.objective.cost import TableCost
from nas.objective.latency import Latency
from nas.space.table import AdditiveTable

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
