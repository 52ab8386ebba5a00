import numpy as np

from nas.objective.cost import TableCost


def test_millions_by_name(tables, space):
    genomes = np.stack([space.smallest, space.largest])
    flops = TableCost(cost="flops", tables=tables)
    assert flops.measure.name == "flops"
    np.testing.assert_allclose(flops(genomes), tables["macs"](genomes) / 1e6)
    assert TableCost(cost="params", tables=tables).measure.name == "params"
