import numpy as np
import pytest
from scipy.stats import mannwhitneyu, wilcoxon

from nas.report.statistics.tests import (
    _permuted_signs,
    a12,
    compare,
    compare_all,
    holm,
    median_difference,
    pairs_needed,
    rank_sum,
    signed_rank,
    smallest_p,
)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_signed_rank_is_scipys_exact_test(alternative):
    rng = np.random.default_rng(0)
    a, b = rng.random(10), rng.random(10) - 0.2
    expected = wilcoxon(a, b, alternative=alternative, method="exact").pvalue
    assert signed_rank(a, b, alternative) == pytest.approx(expected)
    assert rank_sum(a, b, alternative) == pytest.approx(mannwhitneyu(a, b, alternative=alternative).pvalue)


def test_shared_ranks_are_exact_too():
    a, b = np.array([1.0, 1.0, 1.0, 1.0, 1.0]), np.zeros(5)
    assert signed_rank(a, b, "greater") == 1 / 32
    assert signed_rank(a, b, "two-sided") == 1 / 16
    assert signed_rank(a, b, "less") == 1.0
    rng = np.random.default_rng(1)
    different = rng.normal(size=9)
    for side in ("two-sided", "greater", "less"):
        expected = wilcoxon(different, alternative=side, method="exact").pvalue
        assert _permuted_signs(different, side) == pytest.approx(expected)


def test_nothing_speaks_against_equality_of_equal_values():
    same = np.ones(4)
    assert signed_rank(same, same, "two-sided") == 1.0 and rank_sum(same, same, "greater") == 1.0
    assert a12(same, same) == 0.5


def test_effect_size_by_counting():
    assert a12(np.array([2.0, 3.0]), np.array([1.0, 2.0])) == pytest.approx((3 + 0.5) / 4)
    assert a12(np.array([1.0]), np.array([2.0, 3.0])) == 0.0


def test_corrections():
    p = [0.01, 0.04, 0.03, 0.5]
    assert holm(p) == pytest.approx([0.04, 0.09, 0.09, 0.5])  # 4 * 0.01; 3 * 0.03; max(2 * 0.04, 0.09); 0.5
    assert holm([]) == []


def test_the_least_p_value_of_few_runs():
    assert smallest_p("signed-rank", 5, 5) == 0.0625
    assert signed_rank(np.arange(1.0, 6.0), np.zeros(5), "two-sided") == 0.0625
    assert rank_sum(np.arange(3.0) + 9, np.arange(4.0), "two-sided") == pytest.approx(smallest_p("rank-sum", 3, 4))


def test_groups_without_enough_runs_are_not_compared():
    few, some, many = ({s: s + k / 7 for s in range(n)} for k, n in enumerate((1, 5, 6)))
    assert compare_all({"a": few, "b": few}) == [] and compare_all({"a": some, "b": some}) == []
    found = compare_all({"few": few, "many": many, "more": {s: 2.0 * s for s in range(6)}})
    assert [(d.first, d.second, d.family, d.p_holm == d.p) for d in found] == [("many", "more", 1, True)]
    assert (pairs_needed(1), pairs_needed(2)) == (5, 6)


def test_what_is_left_of_rounding_is_a_tie():
    first, second = np.array([98.67, 0.3, 5.0]), np.array([98.67 + 1.5e-14, 0.1 + 0.2, 5.0])
    assert signed_rank(first, second, "greater") == 1.0 and rank_sum(first[:1], second[:1], "two-sided") == 1.0
    assert a12(first[:1], second[:1]) == 0.5 and median_difference(first, second, paired=True) == 0
    assert median_difference(np.array([1.0, 9.0, 2.0]), np.array([0.0, 1.0, 7.0]), paired=True) == 1.0  # of 1, 8, -5


def test_seeds_pair_runs():
    first, second = {0: 1.0, 1: 2.0, 2: 3.0}, {0: 0.5, 1: 1.0, 2: 1.5}
    found = compare("a", first, "b", second)
    assert (found.test, found.n_first, found.difference) == ("signed-rank", 3, 1.0)
    assert found.effect == a12(values(first), values(second))
    assert found.p_greater == 0.125 and found.p == 0.25
    other = compare("a", first, "b", {7: 0.5, 8: 1.0, 9: 1.5, 10: 0.1})
    assert (other.test, other.n_first, other.n_second) == ("rank-sum", 3, 4)
    many = compare("a", {i: float(i) for i in range(6)}, "b", {i: float(-i) for i in range(1, 9)})
    assert (many.test, many.n_first, many.n_second) == ("signed-rank", 5, 5)


def test_all_pairs_are_corrected_together():
    rng = np.random.default_rng(0)
    groups = {name: {s: rng.random() + k for s in range(6)} for k, name in enumerate("abc")} | {"empty": {}}
    found = compare_all(groups)
    assert [(d.first, d.second) for d in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [d.p_holm for d in found] == holm([d.p for d in found]) and {d.family for d in found} == {3}
    assert compare_all({"a": {0: 1.0}}) == []


def values(group):
    return np.array(list(group.values()))
