import numpy as np
import pytest

from nas.objective.base import Cost, values
from nas.objective.cost import Expected, TableCost, expected
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


def test_a_cost_without_a_table_is_what_evaluations_measure(tables, space):
    known = TableCost(cost="flops", tables=tables)
    assert known.exact
    assert expected(known) is known
    unknown = TableCost(cost="flops", tables={"params": tables["params"]})
    assert not unknown.exact
    with pytest.raises(AssertionError):
        unknown(space.smallest[None])
    measured = expected(unknown)
    assert isinstance(measured, Expected)
    assert not isinstance(measured, Cost)
    assert measured.measure == known.measure
    assert measured.limits() is None
    found = values([measured], space.smallest[None], [{"top1": 90.0, "flops": 3.5}])
    assert found.tolist() == [[10.0, 3.5]]
