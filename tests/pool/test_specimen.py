import pytest

from nas.errors import RunError
from nas.evaluator.gap_cascade import GapCascades
from nas.evaluator.pooled import PooledCascades
from nas.pool.specimen import Specimen
from tests.pool.pools import silent


def test_spaces_can_be_built_but_not_evaluated():
    pool = Specimen()
    pool.prepare(silent)
    cascades = PooledCascades(pool=pool, device="cpu", search_goal="cascade", size=3, threads=1, memory_mib=1)
    for source in (cascades, GapCascades(pool=pool)):
        assert {"macs", "params", "latency"} == set(source.costs())
        with pytest.raises(RunError, match="a check of settings went too far"):
            source.outcome(source.space.smallest[None], "validation")
