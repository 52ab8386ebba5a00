"""The papers' figures and tables: which groups of runs belong on each, and the values on them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nas.pareto import hypervolume
from nas.report.data.comparison import Comparison
from nas.report.data.groups import Group
from nas.report.data.outcomes import RunOutcome, paper_outcomes
from nas.report.data.roles import Role
from nas.report.data.runs import Run
from nas.report.papers.hypotheses import Side, chosen
from nas.report.papers.published import PublishedMethod, published_for
from nas.types import Floats

Split = Literal["test", "validation"]


@dataclass(frozen=True)
class Exhibit:
    """Fronts to look at together.

    Attributes:
        name: Name of its files.
        title: Title, with the place of the corresponding figure in the papers.
        sides: Which groups; those that are there are shown.
        least: Minimum number of different sides.
        published: Whether other methods' networks belong on it, without which it is not shown.
        about: Methods without any of which it is not shown; empty for any.
        alike: Whether only groups that choose from the networks of the last side's groups are shown.
    """

    name: str
    title: str
    sides: tuple[Side, ...]
    least: int = 2
    published: bool = False
    about: tuple[str, ...] = ()
    alike: bool = False


def _side(method: str, supernets: int | None = None, *, clones: bool = False, best: bool = False) -> Side:
    return Side(method, supernets, clones, best)


NAT, ENCAS = _side("nat", best=True), _side("encas", 5)
EXHIBITS = (
    Exhibit("papers_supernets", "NAT with each supernet (ENCAS, Fig. 4)", (_side("nat"),), 1),
    Exhibit(
        "papers_cascades",
        "ENCAS, GreedyCascade and the best single supernet (ENCAS, Fig. 5)",
        (NAT, _side("greedy"), _side("encas", 1), ENCAS),
    ),
    Exhibit(
        "papers_published",
        "The best of each method and published networks (ENCAS, Fig. 6 and 8; NSGANetV2)",
        tuple(_side(method, best=True) for method in ("msunas", "nat", "encas", "joint_plus")),
        1,
        published=True,
    ),
    Exhibit(
        "papers_joint",
        "Searched one by one and together (ENCAS, Fig. 7)",
        (NAT, _side("encas", 5), _side("encas", 2), _side("joint"), _side("joint_plus")),
        about=("joint", "joint_plus"),
    ),
    Exhibit(
        "papers_clones",
        "Different supernets and clones of one (ENCAS, Fig. 10)",
        (ENCAS, _side("encas", 5, clones=True)),
    ),
    Exhibit(
        "papers_ensembles",
        "Cascades and ensembles (ENCAS, Fig. 11)",
        (_side("encas"), _side("ensembles")),
        alike=True,
    ),
    Exhibit(
        "papers_random",
        "MO-GOMEA and random search (ENCAS, Fig. 12)",
        (_side("encas"), _side("encas_random")),
        alike=True,
    ),
    Exhibit("papers_msunas", "MSuNAS and random search (NSGANetV2)", (_side("msunas"), _side("random")), alike=True),
    Exhibit("papers_frozen", "NAT and the same on frozen weights", (_side("nat"), _side("frozen")), alike=True),
)


@dataclass(frozen=True)
class Shown:
    """A group of runs on a figure, and what it is called there."""

    group: Group
    label: str


@dataclass(frozen=True)
class Fronts:
    """One figure of fronts.

    Attributes:
        exhibit: Exhibit that is drawn.
        shown: At least one group.
        published: Other methods' networks on it.
    """

    exhibit: Exhibit
    shown: Sequence[Shown]
    published: Sequence[PublishedMethod]


@dataclass(frozen=True)
class Line:
    """Hypervolumes over the number of supernets: ``values`` has those of all seeds for each of ``supernets``."""

    label: str
    supernets: Sequence[int]
    values: Sequence[Floats]


@dataclass(frozen=True)
class MethodAccuracy:
    """The highest accuracy of each run of a group, percent, and the hypervolume, by seed, shape (n,) each."""

    role: str
    group: str
    seeds: Sequence[int]
    accuracy: Floats
    hypervolume: Floats


def split_of(comparison: Comparison) -> Split:
    """Return ``"test"`` where the fronts of all compared runs were measured on test images, as in the papers."""
    fronts = [comparison.measured(run, "test") for group in comparison.groups for run in group.counted]
    return "test" if not any(np.isnan(front).any() for front in fronts) else "validation"


def front_on(comparison: Comparison, run: Run, split: Split) -> Floats:
    """Return a run's last front on a split, ascending in the second objective, shape (k, m)."""
    front = comparison.measured(run, "test") if split == "test" else comparison.front(run)
    return np.asarray(front[np.argsort(front[:, 1], kind="stable")])


def middle_run(comparison: Comparison, group: Group, split: Split) -> Run:
    """Return the compared run of a group whose hypervolume on a split is in the middle, the better one of two."""
    box = comparison.box
    volumes = [hypervolume(front_on(comparison, run, split), box.reference, box.ideal) for run in group.counted]
    return group.counted[int(np.argsort(volumes, kind="stable")[len(volumes) // 2])]


def figures_of(comparison: Comparison, methods: Sequence[PublishedMethod]) -> Iterator[Fronts]:
    """Yield the figures of fronts that the papers have and these runs allow."""
    roles = {group.label: group.role for group in comparison.groups}
    volume = paper_outcomes(comparison, split_of(comparison))[0]
    groups = {group.label: group for group in comparison.groups}
    other = published_for(comparison, methods) if split_of(comparison) == "test" else []
    for exhibit in EXHIBITS:
        found = [chosen(side, roles, volume) for side in exhibit.sides]
        if exhibit.alike:
            networks = {roles[label].networks for label in found[-1]}
            found = [[label for label in labels if roles[label].networks in networks] for labels in found]
        labels = list(dict.fromkeys(label for labels in found for label in labels))
        published = other if exhibit.published else []
        enough = sum(map(bool, found)) >= exhibit.least and len(labels) + len(published) > 1
        about = not exhibit.about or any(roles[label].method in exhibit.about for label in labels)
        if enough and about and bool(published) == exhibit.published:
            best = {
                label
                for side, some in zip(exhibit.sides, found, strict=True)
                for label in some
                if side.best and sum(side.takes(role) for role in roles.values()) > 1
            }
            names = _names(labels, best, roles)
            yield Fronts(
                exhibit, [Shown(groups[label], name) for label, name in zip(labels, names, strict=True)], published
            )


def _names(labels: Sequence[str], best: Collection[str], roles: Mapping[str, Role]) -> list[str]:
    """Return the groups' names on a figure: the role, or the label where others have the role too."""
    said = [str(roles[label]) for label in labels]
    names = [label if said.count(role) > 1 else role for label, role in zip(labels, said, strict=True)]
    return [f"{name} (best)" if label in best else name for label, name in zip(labels, names, strict=True)]


LINES = (
    ("ENCAS", "encas", False),
    ("ENCAS, clones", "encas", True),
    ("ENCAS-joint", "joint", False),
    ("ENCAS-joint+", "joint_plus", False),
)


def impact_of_supernets(comparison: Comparison) -> list[Line]:
    """Return the hypervolumes over the number of supernets; nothing where no method has two different numbers.

    Of several groups of a method with one number of supernets, the one with the best median is taken.
    """
    volume = paper_outcomes(comparison, split_of(comparison))[0]
    roles = {group.label: group.role for group in comparison.groups}
    lines = []
    for label, method, clones in LINES:
        numbers = sorted({r.supernets for r in roles.values() if (r.method, r.clones) == (method, clones)} - {0})
        best = [chosen(Side(method, n, clones, True), roles, volume) for n in numbers]
        points = [(n, _values(volume, found[0])) for n, found in zip(numbers, best, strict=True) if found]
        if points:
            lines.append(Line(label, [n for n, _ in points], [values for _, values in points]))
    return lines if any(len(line.supernets) > 1 for line in lines) else []


def highest_accuracies(comparison: Comparison) -> list[MethodAccuracy]:
    """Return a row for each group that has a part in the papers, the highest accuracy first."""
    volume, accuracy = paper_outcomes(comparison, split_of(comparison))
    rows = [
        MethodAccuracy(str(group.role), group.label, list(accuracy.values[group.label]),
                 _values(accuracy, group.label), _values(volume, group.label))
        for group in comparison.groups
        if group.role.method and accuracy.values[group.label] and volume.values[group.label]
    ]  # fmt: skip
    return sorted(rows, key=lambda row: -float(np.median(row.accuracy)))


def _values(outcome: RunOutcome, label: str) -> Floats:
    return np.array(list(outcome.values[label].values()))
