import pytest

from nas.cascade.source import GapCascades, PooledCascades
from nas.errors import RunError, UserError
from nas.pool.none import NoPool, Specimen
from tests.pool.pools import silent


def test_an_empty_pool_says_what_to_choose():
    pool = NoPool()
    pool.prepare(lambda *_: None)
    assert pool.names == () and pool.n_classes == 0
    with pytest.raises(UserError, match="choose pool=runs, pool=timm or pool=files"):
        pool.outputs("test")


def test_spaces_can_be_built_but_not_evaluated():
    pool = Specimen()
    pool.prepare(silent)
    cascades = PooledCascades(pool=pool, device="cpu", search_goal="cascade", size=3, threads=1, memory_mib=1)
    for source in (cascades, GapCascades(pool=pool)):
        assert {"macs", "params", "latency"} == set(source.costs())
        with pytest.raises(RunError, match="a check of settings went too far"):
            source.outcome(source.space.smallest[None], "validation")
