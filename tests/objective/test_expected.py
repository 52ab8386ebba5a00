import pytest

from nas.objective.base import Cost, values
from nas.objective.cost import TableCost
from nas.objective.expected import Expected, expected


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
