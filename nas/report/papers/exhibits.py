"""Figures and tables of the papers: the groups of runs on each, and their values."""

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
    """Description of a figure of fronts.

    Attributes:
        name: Name of the figure's files.
        title: Title, with the number of the corresponding figure in the papers.
        sides: Groups that are shown if they exist.
        least: Minimum number of sides with groups.
        published: Whether the figure includes networks of other methods and needs at least one.
        about: Methods of which at least one must be shown; empty for no such condition.
        alike: Whether only groups with the same networks as the last side's groups are shown.
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
    """Group of runs on a figure, with its label there."""

    group: Group
    label: str


@dataclass(frozen=True)
class Fronts:
    """Content of one figure of fronts.

    Attributes:
        exhibit: Description of the figure.
        shown: Groups on the figure, at least one.
        published: Networks of other methods on the figure.
    """

    exhibit: Exhibit
    shown: Sequence[Shown]
    published: Sequence[PublishedMethod]


@dataclass(frozen=True)
class Line:
    """Line of hypervolumes over the number of supernets.

    Attributes:
        label: Label of the line.
        supernets: Numbers of supernets, ascending.
        values: Hypervolumes of all seeds for each of these numbers.
    """

    label: str
    supernets: Sequence[int]
    values: Sequence[Floats]


@dataclass(frozen=True)
class MethodAccuracy:
    """Highest accuracies and hypervolumes of a group's runs.

    Attributes:
        role: Name of the group's role in the papers.
        group: Label of the group.
        seeds: Seeds of the runs, length n.
        accuracy: Highest accuracy of each run in percent, shape (n,).
        hypervolume: Hypervolume of each run, 0 to 1, shape (n,).
    """

    role: str
    group: str
    seeds: Sequence[int]
    accuracy: Floats
    hypervolume: Floats


def split_of(comparison: Comparison) -> Split:
    """Return ``"test"`` if the fronts of all compared runs were measured on test images, else ``"validation"``."""
    fronts = [comparison.measured(run, "test") for group in comparison.groups for run in group.counted]
    return "test" if not any(np.isnan(front).any() for front in fronts) else "validation"


def front_on(comparison: Comparison, run: Run, split: Split) -> Floats:
    """Return a run's last front on a split, ascending in the second objective, shape (k, m)."""
    front = comparison.measured(run, "test") if split == "test" else comparison.front(run)
    return np.asarray(front[np.argsort(front[:, 1], kind="stable")])


def middle_run(comparison: Comparison, group: Group, split: Split) -> Run:
    """Return the compared run of a group with the median hypervolume on a split; of two middle runs, the better one."""
    box = comparison.box
    volumes = [hypervolume(front_on(comparison, run, split), box.reference, box.ideal) for run in group.counted]
    return group.counted[int(np.argsort(volumes, kind="stable")[len(volumes) // 2])]


def figures_of(comparison: Comparison, methods: Sequence[PublishedMethod]) -> Iterator[Fronts]:
    """Yield those figures of fronts in the papers for which the runs suffice."""
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
    """Return the groups' names on a figure: the role, or the label if several groups have the role."""
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
    """Return the hypervolumes over the number of supernets; empty if no method has two different numbers.

    If several groups of a method have the same number of supernets, the one with the best median is taken.
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
    """Return a row for each group whose method is in the papers, highest median accuracy first."""
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
