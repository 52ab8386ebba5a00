"""Tests of the papers' hypotheses on the runs of a report.

The tests are one-sided signed-rank tests of the hypervolume and of the highest accuracy, over pairs of equal seeds. If
there are several data sets, the pairs of all data sets are also tested together, as ENCAS's authors do. The tests of
one source on one experiment are a family and are corrected together by Holm's method, independent of the rest of the
report. Hypervolumes are in the box of the experiment's own runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from nas.errors import UserError
from nas.files import expanded
from nas.report.data.comparison import Comparison, experiments
from nas.report.data.outcomes import RunOutcome, paper_outcomes
from nas.report.data.roles import METHODS, Role
from nas.report.statistics.tests import ALPHA, a12, holm, median_difference, pairs_needed, signed_rank
from nas.types import Floats

PAPERS = Path(__file__).with_name("hypotheses.yaml")

LEAST_PAIRS = pairs_needed(sides=1)
"""Minimum number of pairs for a test. With fewer pairs no p value can be below ``ALPHA``."""

TOGETHER = "all images together"


@dataclass(frozen=True)
class Side:
    """Groups on one side of a hypothesis; see ``hypotheses.yaml``.

    Attributes:
        method: Key of :data:`nas.report.data.roles.METHODS`.
        supernets: Number of supernets; ``None`` for any number.
        clones: Whether the supernets are clones of one supernet.
        best: Whether only the group with the best median hypervolume counts.

    Example:
        >>> Side("encas", 5, clones=False, best=False).takes(Role("encas", 5, False, ""))
        True
    """

    method: str
    supernets: int | None
    clones: bool
    best: bool

    def takes(self, role: Role) -> bool:
        """Return whether a group with this role is on this side."""
        return (role.method, role.clones) == (self.method, self.clones) and self.supernets in (None, role.supernets)


@dataclass(frozen=True)
class Hypothesis:
    """Claim that the first side is better than the second; see ``hypotheses.yaml``.

    Attributes:
        name: Text of the claim.
        first, second: Sides of the claim.
        alike: Properties that two compared groups must have in common, ``networks`` or ``supernets``.
        split: Split of the compared numbers.
        source: Source of the claim.
    """

    name: str
    first: Side
    second: Side
    alike: tuple[str, ...]
    split: Literal["test", "validation"]
    source: str

    def pairs(self, comparison: Comparison, volume: RunOutcome) -> list[tuple[str, str, str]]:
        """Return the pairs of groups to compare: the text of the claim and the two labels.

        Args:
            comparison: Comparison of runs.
            volume: Hypervolumes, which determine the best group of a side.
        """
        roles = {group.label: group.role for group in comparison.groups}
        firsts, seconds = (chosen(side, roles, volume) for side in (self.first, self.second))
        return [
            (f"{self.name} ({roles[a].supernets} supernets)" if "supernets" in self.alike else self.name, a, b)
            for a in firsts
            for b in seconds
            if all(getattr(roles[a], name) == getattr(roles[b], name) for name in self.alike)
        ]


@dataclass(frozen=True)
class Tested:
    """Test result of a hypothesis.

    Attributes:
        hypothesis, data, outcome: Name of the hypothesis, data set, and name of the tested number.
        first, second: Labels of the groups.
        pairs: Number of common seeds.
        median_first, median_second: Medians of the number; larger is better.
        difference: Median of the pairs' differences, first minus second.
        effect: Effect size, see :func:`nas.report.statistics.tests.a12`.
        p: One-sided p value.
        p_holm: One-sided p value, corrected for the number of tests in the family.
        family, family_size: Name of the family and number of its tests, which are corrected together.
        best: Whether a side is the best of several groups.
        source: Source of the claim.
    """

    hypothesis: str
    data: str
    outcome: str
    first: str
    second: str
    pairs: int
    median_first: float
    median_second: float
    difference: float
    effect: float
    p: float
    p_holm: float
    family: str
    family_size: int
    best: bool
    source: str

    @property
    def verdict(self) -> str:
        """Result of the test as text."""
        if self.p_holm < ALPHA:
            return "holds"
        return "not shown" if self.difference >= 0 else "not shown, the other way round"


@dataclass(frozen=True)
class Untested:
    """Hypothesis whose groups exist but have fewer than ``LEAST_PAIRS`` pairs of seeds."""

    hypothesis: str
    family: str
    pairs: int


@dataclass(frozen=True)
class _Pairs:
    """Values of two groups by seed, shape (n, 2), for one hypothesis and one outcome."""

    hypothesis: Hypothesis
    said: str
    data: str
    objectives: tuple[str, ...]
    outcome: str
    first: str
    second: str
    values: Floats


def read_hypotheses(which: str) -> list[Hypothesis]:
    """Return hypotheses to test.

    Args:
        which: Choice of hypotheses: ``papers``, ``none`` or the path of a YAML file like ``hypotheses.yaml``.

    Raises:
        UserError: If the file cannot be read or has another format.

    Example:
        >>> read_hypotheses("none"), len(read_hypotheses("papers")) > 0
        ([], True)
    """
    if which == "none":
        return []
    path = PAPERS if which == "papers" else expanded(which, "hypotheses")
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"hypotheses={which}: this is no YAML file; use papers, none, or a file") from error
    try:
        return [_hypothesis(entry) for entry in found]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"hypotheses={which}: an entry is wrong ({error}); see {PAPERS}") from error


def _hypothesis(entry: Mapping[str, Any]) -> Hypothesis:
    known = {"name", "first", "second", "alike", "split", "source"}
    if unknown := entry.keys() - known:
        raise ValueError(f"{min(unknown)} is not one of {', '.join(sorted(known))}")
    split, alike = entry.get("split", "test"), tuple(entry.get("alike", ()))
    if split not in ("test", "validation"):
        raise ValueError(f"split is {split}, not test or validation")
    if not set(alike) <= {"networks", "supernets"}:
        raise ValueError(f"alike is {list(alike)}, not of networks, supernets")
    first, second = _side(entry["first"]), _side(entry["second"])
    return Hypothesis(str(entry["name"]), first, second, alike, split, str(entry.get("source", "")))


def _side(entry: Mapping[str, Any]) -> Side:
    if unknown := entry.keys() - {"method", "supernets", "clones", "best"}:
        raise ValueError(f"{min(unknown)} is not one of method, supernets, clones, best")
    if entry["method"] not in METHODS:
        raise ValueError(f"method is {entry['method']}, not one of {', '.join(METHODS)}")
    number = entry.get("supernets")
    return Side(
        entry["method"], None if number is None else int(number), bool(entry.get("clones")), bool(entry.get("best"))
    )


def chosen(side: Side, roles: Mapping[str, Role], volume: RunOutcome) -> list[str]:
    """Return the labels of a side's groups, without groups that have no hypervolume.

    Args:
        side: Side of a hypothesis.
        roles: Roles of all groups by label.
        volume: Hypervolumes, which determine the best group.
    """
    found = [label for label, role in roles.items() if side.takes(role) and volume.values[label]]
    if side.best and found:
        return [max(found, key=lambda label: float(np.median(list(volume.values[label].values()))))]
    return found


def examine(
    hypotheses: Sequence[Hypothesis], comparisons: Sequence[Comparison], together: bool = False
) -> tuple[list[Tested], list[Untested]]:
    """Test the hypotheses for which the runs have both sides, in the order of sources, data sets and hypotheses.

    If a source's hypotheses have pairs of groups on several data sets, the pairs of all data sets are also tested
    together, as a family of their own.

    Args:
        hypotheses: Hypotheses to test.
        comparisons: Comparisons of runs.
        together: Whether all groups of a comparison are one experiment.

    Returns:
        Test results, and the hypotheses with too few pairs of seeds.
    """
    tested: list[Tested] = []
    untested: list[Untested] = []
    for source in dict.fromkeys(hypothesis.source for hypothesis in hypotheses):
        own = [hypothesis for hypothesis in hypotheses if hypothesis.source == source]
        found: list[_Pairs] = []
        for name, pairs in _families(source, own, comparisons, together):
            enough = [one for one in pairs if len(one.values) >= LEAST_PAIRS]
            few = {one.said: len(one.values) for one in pairs if len(one.values) < LEAST_PAIRS}
            tested += _corrected(name, enough)
            untested += [Untested(said, name, count) for said, count in few.items()]
            found += pairs
        for objectives in dict.fromkeys(one.objectives for one in found):
            pairs = list(_pooled([one for one in found if one.objectives == objectives]))
            tested += _corrected(f"{_short(source)}, {TOGETHER}", pairs)
    return tested, untested


def _families(
    source: str, hypotheses: Sequence[Hypothesis], comparisons: Sequence[Comparison], together: bool
) -> list[tuple[str, list[_Pairs]]]:
    """Return a unique name and the pairs of each experiment to which a source's hypotheses apply."""
    found = []
    for comparison in comparisons:
        sides = [side for hypothesis in hypotheses for side in (hypothesis.first, hypothesis.second)]
        labels = [group.label for group in comparison.groups if any(side.takes(group.role) for side in sides)]
        costs = ", ".join(measure.words for measure in comparison.measures[1:])
        name = f"{_short(source)}, {comparison.data} ({costs})"
        for part in experiments(comparison, labels, together):
            pairs = [one for hypothesis in hypotheses for one in _pairs(hypothesis, part)]
            found += [(name, pairs)] if pairs else []
    names = [name for name, _ in found]
    again = [names[:i].count(name) for i, name in enumerate(names)]
    return [(f"{name}, {n + 1}" if n else name, pairs) for (name, pairs), n in zip(found, again, strict=True)]


def _short(source: str) -> str:
    return source.partition(",")[0] or "hypotheses"


def _pairs(hypothesis: Hypothesis, comparison: Comparison) -> list[_Pairs]:
    """Return the values for a hypothesis in one experiment, for each pair of groups and each outcome."""
    outcomes = paper_outcomes(comparison, hypothesis.split)
    objectives = tuple(measure.words for measure in comparison.measures[1:])
    found = []
    for said, first, second in hypothesis.pairs(comparison, outcomes[0]):
        for outcome in outcomes:
            a, b = outcome.values[first], outcome.values[second]
            values = np.array([[a[seed], b[seed]] for seed in sorted(a.keys() & b.keys())]).reshape(-1, 2)
            found.append(_Pairs(hypothesis, said, comparison.data, objectives, outcome.name, first, second, values))
    return found


def _pooled(found: Sequence[_Pairs]) -> Iterator[_Pairs]:
    """Yield the pairs of all data sets together, for hypotheses with several data sets."""
    for said, outcome in dict.fromkeys((one.said, one.outcome) for one in found):
        parts = [one for one in found if (one.said, one.outcome) == (said, outcome)]
        values = np.vstack([part.values for part in parts])
        if len({part.data for part in parts}) > 1 and len(values) >= LEAST_PAIRS:
            yield replace(parts[0], data=TOGETHER, first="as above", second="as above", values=values)


def _corrected(family: str, pairs: Sequence[_Pairs]) -> list[Tested]:
    """Test the pairs of a family, with correction for the number of tests."""
    p = [signed_rank(one.values[:, 0], one.values[:, 1], "greater") for one in pairs]
    return [_tested(family, len(pairs), *row) for row in zip(pairs, p, holm(p), strict=True)]


def _tested(family: str, size: int, pairs: _Pairs, p: float, p_holm: float) -> Tested:
    first, second = pairs.values.T
    return Tested(
        hypothesis=pairs.said,
        data=pairs.data,
        outcome=pairs.outcome,
        first=pairs.first,
        second=pairs.second,
        pairs=len(first),
        median_first=float(np.median(first)),
        median_second=float(np.median(second)),
        difference=median_difference(first, second, paired=True),
        effect=a12(first, second),
        p=p,
        p_holm=p_holm,
        family=family,
        family_size=size,
        best=pairs.hypothesis.first.best or pairs.hypothesis.second.best,
        source=pairs.hypothesis.source,
    )
