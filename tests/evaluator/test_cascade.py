import numpy as np
import pytest

from nas.errors import UserError
from nas.evaluator.cascade import CascadeEvaluator
from nas.evaluator.gap_cascade import GapCascades
from nas.space.supernet import SupernetSpace
from tests.cascades import memory_pool
from tests.evaluator.test_pooled import pooled
from tests.small import tiny


@pytest.mark.parametrize("goal", ["cascade", "ensemble", "gaps"])
def test_metrics_add_up(goal):
    pool = memory_pool()
    source = GapCascades(pool=pool) if goal == "gaps" else pooled(pool, goal)
    evaluator = CascadeEvaluator(source=source)
    genomes = source.space.sample(20, np.random.default_rng(0))
    validation, test = (evaluator.measure(genomes, split) for split in ("validation", "test"))
    np.testing.assert_allclose(evaluator.errors(genomes), [100 - found["top1"] for found in validation])
    for genome, found in zip(genomes, validation, strict=True):
        shares = [value for name, value in found.items() if name.startswith("answered_")]
        assert len(shares) == len(source.space.decode(genome).config["networks"])
        assert sum(shares) == pytest.approx(100)
        assert goal != "ensemble" or shares[-1] == 100
    assert [found["flops"] for found in validation] == pytest.approx(list(source.costs()["macs"](genomes) / 1e6))
    kept = [found["kept"] for found in test]
    assert set(kept) == {0.0, 1.0}
    best = [row for row in np.argsort([v["flops"] for v in validation]) if kept[row]]
    assert np.all(np.diff([validation[row]["top1"] for row in best]) > 0.05)


def test_other_spaces_are_refused():
    with pytest.raises(UserError, match="choose space=cascade or space=gap_cascade"):
        CascadeEvaluator(source=SupernetSpace(supernet=tiny()))
