import numpy as np
import pytest

from nas.cascade.evaluator import CascadeEvaluator, worth_keeping
from nas.cascade.source import GapCascades
from nas.errors import UserError
from nas.space.supernet import SupernetSpace
from tests.cascade.test_source import pooled
from tests.cascades import memory_pool
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


def test_a_cascade_must_be_a_tenth_better_than_all_cheaper_ones():
    costs = np.array([5.0, 1, 2, 3, 4, 6])
    accuracies = np.array([92.0, 90.0, 90.04, 90.06, 89.0, 92.04])
    assert worth_keeping(accuracies, costs).tolist() == [True, True, False, True, False, False]


def test_of_equal_costs_the_best_is_kept_and_nothing_right_is_nothing_kept():
    assert worth_keeping(np.array([80.0, 81.0]), np.array([1.0, 1.0])).tolist() == [False, True]
    assert worth_keeping(np.zeros(2), np.ones(2)).tolist() == [False, False]
    assert worth_keeping(np.zeros(0), np.zeros(0)).tolist() == []
