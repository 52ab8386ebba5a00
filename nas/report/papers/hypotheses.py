"""The papers' hypotheses, tested on the runs that are there.

One-sided signed-rank tests over pairs of equal seeds, of the hypervolume and of the highest accuracy; where there are
several kinds of images also over all of them together, as ENCAS's authors do. The tests of one source on one experiment
are a family and are corrected together by Holm's method, whatever else is in the report. Hypervolumes are in the box of
the experiment's own runs.
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
"""Pairs of seeds below which nothing is tested: no p value could be below ``ALPHA``."""

TOGETHER = "all images together"


@dataclass(frozen=True)
class Side:
    """Groups of one side of a hypothesis; see ``hypotheses.yaml``."""

    method: str
    supernets: int | None
    clones: bool
    best: bool

    def takes(self, role: Role) -> bool:
        """Whether a group with this role is meant."""
        return (role.method, role.clones) == (self.method, self.clones) and self.supernets in (None, role.supernets)


@dataclass(frozen=True)
class Hypothesis:
    """The first is better than the second; see ``hypotheses.yaml``."""

    name: str
    first: Side
    second: Side
    alike: tuple[str, ...]
    split: Literal["test", "validation"]
    source: str

    def pairs(self, comparison: Comparison, volume: RunOutcome) -> list[tuple[str, str, str]]:
        """Return the groups to compare: what the hypothesis says of them, and their labels.

        Args:
            comparison: Comparison of runs.
            volume: The hypervolumes, which say what is best.
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
        hypothesis, data, outcome: Name of the hypothesis, its images, and the number that is tested.
        first, second: Labels of the groups.
        pairs: Seeds in common.
        median_first, median_second: Medians of the number; more is better.
        difference: The median of the pairs' differences, first less second.
        effect: See :func:`nas.report.statistics.a12`.
        p: One-sided.
        p_holm: Corrected for the number of tests in the family.
        family, family_size: Name and number of the tests that are corrected together.
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
        """Whether the claim holds, in words."""
        if self.p_holm < ALPHA:
            return "holds"
        return "not shown" if self.difference >= 0 else "not shown, the other way round"


@dataclass(frozen=True)
class Untested:
    """A hypothesis whose groups are there, with fewer pairs of seeds than ``LEAST_PAIRS``."""

    hypothesis: str
    family: str
    pairs: int


@dataclass(frozen=True)
class _Pairs:
    """Values of two groups by seed, shape (n, 2), and what is compared by them."""

    hypothesis: Hypothesis
    said: str
    data: str
    objectives: tuple[str, ...]
    outcome: str
    first: str
    second: str
    values: Floats


def read_hypotheses(which: str) -> list[Hypothesis]:
    """Return the papers' hypotheses (``papers``), none (``none``), or those of a file.

    Raises:
        UserError: If the file cannot be read, or says something else.
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
    """Return the labels of the groups that are meant, of those that have a hypervolume.

    Args:
        side: Which groups.
        roles: By label.
        volume: Hypervolumes, by which the best is found.
    """
    found = [label for label, role in roles.items() if side.takes(role) and volume.values[label]]
    if side.best and found:
        return [max(found, key=lambda label: float(np.median(list(volume.values[label].values()))))]
    return found


def examine(
    hypotheses: Sequence[Hypothesis], comparisons: Sequence[Comparison], together: bool = False
) -> tuple[list[Tested], list[Untested]]:
    """Test what the runs have both sides of; the order is that of the sources, the images and the hypotheses.

    Where a source's hypotheses have pairs of groups on several kinds of images, the pairs of all are tested together,
    too: that is a family of its own.

    Args:
        hypotheses: Hypotheses to test.
        comparisons: Comparisons of runs.
        together: Whether all groups of a comparison are one experiment.

    Returns:
        What was tested, and what has too few pairs of seeds.
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
    """Return what a source's hypotheses are about: of each experiment a name of its own, and the pairs."""
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
    """Return the values that a hypothesis is about in one experiment, for each two groups and each number."""
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
    """Yield the pairs of all kinds of images together, where there are several."""
    for said, outcome in dict.fromkeys((one.said, one.outcome) for one in found):
        parts = [one for one in found if (one.said, one.outcome) == (said, outcome)]
        values = np.vstack([part.values for part in parts])
        if len({part.data for part in parts}) > 1 and len(values) >= LEAST_PAIRS:
            yield replace(parts[0], data=TOGETHER, first="as above", second="as above", values=values)


def _corrected(family: str, pairs: Sequence[_Pairs]) -> list[Tested]:
    """Test the pairs of a family, corrected for their number."""
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
