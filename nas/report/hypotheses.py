"""The papers' hypotheses, tested on the runs that are there.

One-sided signed-rank tests over pairs of equal seeds, of the hypervolume and of the highest accuracy; where there are
several kinds of images also over all of them together, as ENCAS's authors do. All tests of a report are corrected
together, by Bonferroni's method.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from nas.errors import UserError
from nas.files import expanded
from nas.report.comparison import Comparison
from nas.report.outcomes import Outcome, paper_outcomes
from nas.report.roles import METHODS, Role, roles_of
from nas.report.statistics import a12, bonferroni, signed_rank
from nas.types import Floats

PAPERS = Path(__file__).with_name("hypotheses.yaml")

ALPHA = 0.05
"""The corrected p value below which a hypothesis holds."""

TOGETHER = "all images together"


@dataclass(frozen=True)
class Side:
    """Which groups a hypothesis is about; see ``hypotheses.yaml``."""

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

    def pairs(self, comparison: Comparison, volume: Outcome) -> list[tuple[str, str, str]]:
        """Return the groups to compare: what the hypothesis says of them, and their labels.

        Args:
            comparison: of runs.
            volume: the hypervolumes, which say what is best.
        """
        roles = {group.label: role for group, role in zip(comparison.groups, roles_of(comparison.groups), strict=True)}
        firsts, seconds = (chosen(side, roles, volume) for side in (self.first, self.second))
        return [
            (f"{self.name} ({roles[a].supernets} supernets)" if "supernets" in self.alike else self.name, a, b)
            for a in firsts
            for b in seconds
            if all(getattr(roles[a], name) == getattr(roles[b], name) for name in self.alike)
        ]


@dataclass(frozen=True)
class Tested:
    """What the runs say about a hypothesis.

    Attributes:
        hypothesis, data, outcome: what was tested: its name, on which images, by which number.
        first, second: labels of the groups.
        pairs: seeds in common.
        median_first, median_second: of the number, of which more is better.
        effect: see :func:`nas.report.statistics.a12`.
        p: one-sided; ``p_bonferroni``: corrected for the number of all tests.
        best: whether a side is the best of several groups.
        source: where the claim is from.
    """

    hypothesis: str
    data: str
    outcome: str
    first: str
    second: str
    pairs: int
    median_first: float
    median_second: float
    effect: float
    p: float
    p_bonferroni: float
    best: bool
    source: str

    @property
    def difference(self) -> float:
        """Of the medians."""
        return self.median_first - self.median_second

    @property
    def verdict(self) -> str:
        """Whether the claim holds, in words."""
        if self.p_bonferroni < ALPHA:
            return "holds"
        return "not shown" if self.difference >= 0 else "not shown, the other way round"


@dataclass(frozen=True)
class _Pairs:
    """Values of two groups by seed, shape (n, 2)."""

    data: str
    first: str
    second: str
    values: Floats


def read_hypotheses(which: str) -> list[Hypothesis]:
    """Return the papers' hypotheses (``papers``), none (``none``), or those of a file.

    Raises:
        UserError: if the file cannot be read, or says something else.
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


def chosen(side: Side, roles: Mapping[str, Role], volume: Outcome) -> list[str]:
    """Return the labels of the groups that are meant, of those that have a hypervolume.

    Args:
        side: which groups.
        roles: by label.
        volume: hypervolumes, by which the best is found.
    """
    found = [label for label, role in roles.items() if side.takes(role) and volume.values[label]]
    if side.best and found:
        return [max(found, key=lambda label: float(np.median(list(volume.values[label].values()))))]
    return found


def examine(hypotheses: Sequence[Hypothesis], comparisons: Sequence[Comparison]) -> list[Tested]:
    """Test what the runs have both sides of; the order is that of the hypotheses.

    Where a hypothesis has pairs of groups on several kinds of images, the pairs of all are tested together, too.
    """
    found = [row for hypothesis in hypotheses for row in _tested(hypothesis, comparisons)]
    corrected = bonferroni([row.p for row in found])
    return [replace(row, p_bonferroni=p) for row, p in zip(found, corrected, strict=True)]


def _tested(hypothesis: Hypothesis, comparisons: Sequence[Comparison]) -> Iterator[Tested]:
    parts: dict[tuple[str, str], list[_Pairs]] = {}
    for comparison in comparisons:
        outcomes = paper_outcomes(comparison, hypothesis.split)
        for said, first, second in hypothesis.pairs(comparison, outcomes[0]):
            for outcome in outcomes:
                a, b = outcome.values[first], outcome.values[second]
                seeds = sorted(a.keys() & b.keys())
                if seeds:
                    values = np.array([[a[seed], b[seed]] for seed in seeds])
                    part = _Pairs(comparison.data, first, second, values)
                    parts.setdefault((said, outcome.name), []).append(part)
                    yield _test(hypothesis, said, outcome.name, part)
    for (said, name), found in parts.items():
        if len({part.data for part in found}) > 1:
            values = np.vstack([part.values for part in found])
            yield _test(hypothesis, said, name, _Pairs(TOGETHER, "as above", "as above", values))


def _test(hypothesis: Hypothesis, said: str, outcome: str, pairs: _Pairs) -> Tested:
    first, second = pairs.values.T
    p = signed_rank(first, second, "greater")
    return Tested(
        hypothesis=said,
        data=pairs.data,
        outcome=outcome,
        first=pairs.first,
        second=pairs.second,
        pairs=len(first),
        median_first=float(np.median(first)),
        median_second=float(np.median(second)),
        effect=a12(first, second),
        p=p,
        p_bonferroni=p,
        best=hypothesis.first.best or hypothesis.second.best,
        source=hypothesis.source,
    )
