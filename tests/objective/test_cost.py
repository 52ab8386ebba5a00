import numpy as np
import pytest

from nas.objective.cost import TableCost
from tests.products import several


def test_millions_by_name(tables, space):
    genomes = np.stack([space.smallest, space.largest])
    flops = TableCost(cost="flops", tables=tables)
    assert flops.measure.name == "flops"
    np.testing.assert_allclose(flops(genomes), tables["macs"](genomes) / 1e6)
    assert TableCost(cost="params", tables=tables).measure.name == "params"


def test_limits_are_the_costs_of_the_ends_of_the_space(tables, space):
    flops = TableCost(cost="flops", tables=tables)
    assert flops.limits() == pytest.approx(flops(np.stack([space.smallest, space.largest])).tolist())


def test_limits_of_cascades_are_those_of_one_network_and_of_all():
    supernet = several()
    ends = [member.costs()["macs"].extremes() for member in supernet.members.values()]
    limits = TableCost(cost="flops", tables=supernet.costs()).limits()
    assert limits == pytest.approx((min(low for low, _ in ends) / 1e6, sum(high for _, high in ends) / 1e6))
    assert TableCost(cost="flops", tables={}).limits() is None
