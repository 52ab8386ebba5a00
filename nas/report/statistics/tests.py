"""Statistics for groups of runs: rank tests, correction for multiple tests, effect sizes.

All functions are pure functions of arrays. Larger values are better, as for hypervolume; negate errors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, count
from math import comb
from typing import Literal

import numpy as np
from scipy.stats import mannwhitneyu, wilcoxon

from nas.types import Floats

Alternative = Literal["two-sided", "greater", "less"]

ALPHA = 0.05
"""Significance level: a p value below it counts as a finding."""

DECIMALS = 10
"""Number of decimals to which values are rounded, so that equal accuracies computed in two ways are ties."""

ENOUGH_PAIRS = 5
"""Number of common seeds from which groups are paired even if some seeds have no partner."""


@dataclass(frozen=True)
class Difference:
    """Comparison of two groups.

    Attributes:
        first, second: Names of the groups.
        test: Test: ``"signed-rank"`` for pairs of equal seeds (Wilcoxon 1945), else ``"rank-sum"`` (Mann & Whitney
            1947).
        n_first, n_second: Number of compared values of each group.
        median_first, median_second: Medians of the values.
        difference: Median difference, see :func:`median_difference`.
        p: Two-sided p value.
        p_greater, p_less: One-sided p values of the hypotheses that the first group's values are greater, or less.
        effect: Probability that a value of the first group is greater than one of the second, see :func:`a12`.
        p_holm: Two-sided p value, corrected for the number of tests in the family.
        family: Number of tests that are corrected together.
    """

    first: str
    second: str
    test: Literal["signed-rank", "rank-sum"]
    n_first: int
    n_second: int
    median_first: float
    median_second: float
    difference: float
    p: float
    p_greater: float
    p_less: float
    effect: float
    p_holm: float
    family: int


def signed_rank(first: Floats, second: Floats, alternative: Alternative) -> float:
    """Return the p value of Wilcoxon's signed-rank test for pairs; exact for small n.

    Pairs without a difference are left out. The p value is 1 if no pair differs.

    Args:
        first: Values of the first group, shape (n,).
        second: Values of the second group in the same order, shape (n,).
        alternative: Alternative hypothesis about the first group.

    Example:
        >>> first = np.array([0.9, 0.8, 0.7, 0.9, 0.8])
        >>> signed_rank(first, first - [0.1, 0.2, 0.3, 0.4, 0.5], "greater")
        0.03125
    """
    differences = np.round(first - second, DECIMALS)
    differences = differences[differences != 0]
    if len(differences) == 0:
        return 1.0
    ties = len(np.unique(np.abs(differences))) < len(differences)
    if len(differences) <= 12 and ties:
        return _permuted_signs(differences, alternative)
    method = "exact" if len(differences) <= 50 and not ties else "approx"
    return float(wilcoxon(differences, alternative=alternative, method=method).pvalue)


def _permuted_signs(differences: Floats, alternative: Alternative) -> float:
    """Return the exact p value for tied ranks, over all 2^n signs."""
    absolute = np.abs(differences)
    below, equal = ((compared(absolute[:, None], absolute[None])).sum(axis=1) for compared in (np.greater, np.equal))
    ranks = below + (equal + 1) / 2
    signs = (np.arange(2 ** len(ranks))[:, None] >> np.arange(len(ranks))) & 1
    possible, found = signs @ ranks, ranks[differences > 0].sum()
    greater, less = float(np.mean(possible >= found)), float(np.mean(possible <= found))
    return {"greater": greater, "less": less, "two-sided": min(1.0, 2 * min(greater, less))}[alternative]


def rank_sum(first: Floats, second: Floats, alternative: Alternative) -> float:
    """Return the p value of the Mann-Whitney test; exact for small groups without ties.

    Args:
        first: Values of the first group, shape (n,).
        second: Values of the second group, shape (k,).
        alternative: Alternative hypothesis about the first group.
    """
    first, second = np.round(first, DECIMALS), np.round(second, DECIMALS)
    if len(np.unique(np.concatenate([first, second]))) == 1:
        return 1.0
    return float(mannwhitneyu(first, second, alternative=alternative).pvalue)


def a12(first: Floats, second: Floats) -> float:
    """Return the effect size of Vargha and Delaney (2000): P(first > second) + P(equal) / 2, 0 to 1.

    0.5 is no effect. They call 0.56 (or 0.44) a small effect, 0.64 a medium and 0.71 a large one.

    Example:
        >>> a12(np.array([3.0, 4.0]), np.array([1.0, 3.0]))
        0.875
    """
    differences = np.round(first[:, None] - second[None, :], DECIMALS)
    return float((differences > 0).mean() + (differences == 0).mean() / 2)


def median_difference(first: Floats, second: Floats, paired: bool) -> float:
    """Return the median of the differences of pairs, or, without pairs, of all first and second values.

    It is not the difference of the medians.

    Args:
        first: Values of the first group, shape (n,).
        second: Values of the second group, shape (k,); k is n for pairs.
        paired: Whether the values are pairs.
    """
    differences = first - second if paired else first[:, None] - second[None, :]
    return float(np.round(np.median(differences), DECIMALS))


def holm(p: Sequence[float]) -> list[float]:
    """Return p values corrected for their number by Holm's (1979) step-down method.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    scaled = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in corrected]


def smallest_p(test: str, n_first: int, n_second: int, sides: int = 2) -> float:
    """Return the smallest possible p value of a test for given numbers of values.

    Args:
        test: Name of the test, ``"signed-rank"`` or ``"rank-sum"``.
        n_first: Number of values of the first group.
        n_second: Number of values of the second group.
        sides: Number of sides of the test, 1 or 2.
    """
    return min(1.0, sides / (2**n_first if test == "signed-rank" else comb(n_first + n_second, n_first)))


def pairs_needed(sides: int) -> int:
    """Return the smallest number of pairs with which a signed-rank test can give a p value below ``ALPHA``.

    Example:
        >>> pairs_needed(sides=1), pairs_needed(sides=2)
        (5, 6)
    """
    return next(n for n in count(1) if smallest_p("signed-rank", n, n, sides) < ALPHA)


def compare(name_first: str, first: Mapping[int, float], name_second: str, second: Mapping[int, float]) -> Difference:
    """Compare two groups of values by seed. Larger values are better.

    The test is paired if both groups have the same seeds, or at least ``ENOUGH_PAIRS`` seeds in common.

    Example:
        >>> found = compare("a", {0: 0.8, 1: 0.9}, "b", {0: 0.7, 1: 0.8})
        >>> found.test, found.n_first, round(found.difference, 2)
        ('signed-rank', 2, 0.1)
    """
    common = sorted(first.keys() & second.keys())
    paired = bool(common) and (first.keys() == second.keys() or len(common) >= ENOUGH_PAIRS)
    keys_first, keys_second = (common, common) if paired else (sorted(first), sorted(second))
    a, b = np.array([first[k] for k in keys_first]), np.array([second[k] for k in keys_second])
    test = signed_rank if paired else rank_sum
    sides: tuple[Alternative, ...] = ("two-sided", "greater", "less")
    p, greater, less = (test(a, b, side) for side in sides)
    return Difference(
        first=name_first,
        second=name_second,
        test="signed-rank" if paired else "rank-sum",
        n_first=len(a),
        n_second=len(b),
        median_first=float(np.median(a)),
        median_second=float(np.median(b)),
        difference=median_difference(a, b, paired),
        p=p,
        p_greater=greater,
        p_less=less,
        effect=a12(a, b),
        p_holm=p,
        family=1,
    )


def compare_all(groups: Mapping[str, Mapping[int, float]]) -> list[Difference]:
    """Compare every pair of groups of values by seed, corrected for the number of comparisons.

    Larger values are better. Pairs of groups with too few values for a p value below ``ALPHA`` are left out.
    """
    filled = {name: values for name, values in groups.items() if values}
    found = [compare(a, filled[a], b, filled[b]) for a, b in combinations(filled, 2)]
    found = [row for row in found if smallest_p(row.test, row.n_first, row.n_second) < ALPHA]
    corrected = holm([row.p for row in found])
    return [replace(row, p_holm=p, family=len(found)) for row, p in zip(found, corrected, strict=True)]


def number(value: float) -> str:
    """Return a number with four significant digits as text; a dash for not-a-number.

    The number is first rounded to ``DECIMALS`` decimals, so that rounding errors are shown as 0.
    """
    return f"{round(value, DECIMALS) + 0.0:.4g}" if np.isfinite(value) else "-"


def p_value(p: float) -> str:
    """Return a p value with four decimals as text."""
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"
