"""Comparison of runs with the same objectives on the same images, with one hypervolume box."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import yaml

from nas.errors import UserError
from nas.report.data.fronts import (
    FrontHistory,
    along,
    attainment_surfaces,
    hypervolumes,
    progress,
    reference_point,
    thinned,
)
from nas.report.data.groups import Group, group_runs
from nas.report.data.runs import Run, decisive
from nas.report.statistics.genes import GeneShares, gene_shares
from nas.report.statistics.predictions import prediction_quality
from nas.run.record import Integers, Record
from nas.types import Floats, Measure

MOST_STEPS = 120
"""Largest number of steps of a run whose fronts are computed."""

GRID = 160
"""Largest number of points of the grid of evaluations on which curves of runs are summarized."""


COLUMNS = 40
"""Largest number of parts of the iterations in which a group's gene values are counted."""


@dataclass(frozen=True)
class CommonBox:
    """Hypervolume box of all runs of a comparison.

    Attributes:
        reference, ideal: Worst and best corner, shape (m,) each.
        origin: Text that says how the corners were chosen.
    """

    reference: Floats
    ideal: Floats
    origin: str


@dataclass(frozen=True)
class Comparison:
    """Groups of runs with the same objectives on the same images.

    Attributes:
        measures: Objectives.
        data: Name of the data set.
        groups: Groups, at least one; each has at least one run with results.
        box: Box of all hypervolumes.
        corners: Reference point and ideal point of the command line; ``None`` for a point that is not set.
        whole: Comparison that this one is a part of; ``None`` for a whole comparison.
    """

    measures: tuple[Measure, ...]
    data: str
    groups: Sequence[Group]
    box: CommonBox
    corners: tuple[Sequence[float] | None, Sequence[float] | None]
    whole: "Comparison | None" = None

    def part(self, groups: Sequence[Group]) -> "Comparison":
        """Return a comparison of some of the groups, with the box that follows from their runs alone."""
        runs = [run for group in groups for run in group.runs]
        return replace(self, groups=groups, box=_box(runs, *self.corners), whole=self.whole or self)

    @cached_property
    def courses(self) -> Mapping[str, FrontHistory]:
        """History of each run's front, by the run's name."""
        if self.whole is not None:
            return self.whole.courses
        return {run.name: progress(record, MOST_STEPS) for run, record in self.evaluated}

    @cached_property
    def hypervolumes(self) -> Mapping[str, Floats]:
        """Hypervolume of each front of ``courses``, by the run's name."""
        return {
            run.name: hypervolumes(record, self.courses[run.name], self.box.reference, self.box.ideal)
            for run, record in self.evaluated
        }

    @property
    def evaluated(self) -> list[tuple[Run, Record]]:
        """All runs with results, each with its record."""
        return [(run, run.record) for group in self.groups for run in group.runs if run.record is not None]

    @property
    def moves(self) -> bool:
        """Whether a run has several steps. Searches for cascades have one, since they archive only their last front."""
        return any(len(course.steps) > 1 for course in self.courses.values())

    @cached_property
    def grid(self) -> Integers:
        """Numbers of evaluations at which curves are summarized, ascending."""
        counts = np.unique(np.concatenate([course.evaluations for course in self.courses.values()]))
        return counts[thinned(len(counts), GRID)]

    @cached_property
    def qualities(self) -> Mapping[str, tuple[Integers, Floats]]:
        """Agreement of the surrogate's predictions with evaluations, by the run's name; see ``prediction_quality``."""
        return {run.name: prediction_quality(record) for run, record in self.evaluated}

    @cached_property
    def genes(self) -> Sequence[GeneShares]:
        """Shares of gene values among the candidates, one per group.

        Searches for cascades with different seeds may have different genes. Only runs with the genes of the group's
        first run count.
        """
        found = []
        for group in self.groups:
            genes = self._record(group.evaluated[0]).genes
            runs = [run for run in group.evaluated if self._record(run).genes == genes]
            fronts = [self.courses[run.name].fronts[-1] for run in runs]
            found.append(gene_shares([self._record(run) for run in runs], fronts, COLUMNS))
        return found

    @cached_property
    def attainment(self) -> Sequence[Sequence[Mapping[str, Floats]]]:
        """Attainment surfaces of each group's compared runs: one list for each objective except the first."""
        return [
            [attainment_surfaces([self.front(run)[:, [0, other]] for run in group.counted]) for group in self.groups]
            for other in range(1, len(self.measures))
        ]

    def curves(self, group: Group) -> Floats:
        """Return the hypervolume of each run of a group over ``grid``, shape (r, g).

        The curve of a finished run keeps its last value. The curve of an unfinished run ends with the run; after that
        the values are not-a-number.
        """
        return np.array(
            [
                along(self.courses[r.name].evaluations, self.hypervolumes[r.name], self.grid, r.state == "finished")
                for r in group.evaluated
            ]
        )

    def front(self, run: Run) -> Floats:
        """Return the objectives of a run's last front, shape (k, m)."""
        return self._record(run).objectives[self.courses[run.name].fronts[-1]]

    def median_run(self, group: Group) -> Run:
        """Return the compared run of a group with the median last hypervolume; of two middle runs, the better one."""
        runs = sorted(group.counted, key=lambda run: float(self.hypervolumes[run.name][-1]))
        return runs[len(runs) // 2]

    def measured(self, run: Run, where: str) -> Floats:
        """Return the last front with the error on the test split or with the final weights, shape (k, m).

        Args:
            run: Run with results.
            where: Kind of error, ``"test"`` or ``"final"``.

        Returns:
            Objectives; the error is not-a-number for architectures without this measurement.
        """
        record, places = self._record(run), self.courses[run.name].fronts[-1]
        found: Mapping[tuple[int, ...], Mapping[str, float]] = getattr(run, where)
        values = record.objectives[places].copy()
        for row, place in enumerate(places.tolist()):
            metrics = found.get(tuple(record.genomes[place].tolist()), {})
            values[row, 0] = 100 - metrics["top1"] if "top1" in metrics else np.nan
        return values

    def _record(self, run: Run) -> Record:
        if run.record is None:
            raise ValueError(f"{run.name} has no results")
        return run.record


def compare_runs(
    runs: Sequence[Run], reference: Sequence[float] | None, ideal: Sequence[float] | None
) -> list[Comparison]:
    """Return one comparison for each combination of objectives and data set.

    Args:
        runs: Runs, at least one with results. Runs without results are left out.
        reference: Reference point of the hypervolume box; ``None`` for the point in the settings of all runs, or, if
            they differ, 1.01 times the worst values of the initial designs.
        ideal: Ideal point of the box; ``None`` for the point in the settings of all runs, or, if they differ, the
            origin.

    Raises:
        UserError: If a point does not fit the objectives.
    """
    names = {images_of(run): _data_name(run) for run in runs if images_of(run)}
    parts: dict[tuple[tuple[Measure, ...], str], list[Run]] = {}
    for run in runs:
        if run.record is not None:
            images = images_of(run) or (next(iter(names)) if len(names) == 1 else "")
            parts.setdefault((run.record.measures, images), []).append(run)
    return [
        Comparison(
            measures,
            names.get(images, "unknown images"),
            group_runs(part),
            _box(part, reference, ideal),
            (reference, ideal),
        )
        for (measures, images), part in parts.items()
    ]


def _box(runs: Sequence[Run], reference: Sequence[float] | None, ideal: Sequence[float] | None) -> CommonBox:
    records = [run.record for run in runs if run.record is not None]
    measures = records[0].measures
    for name, point in (("reference_point", reference), ("ideal_point", ideal)):
        if point is not None and len(point) != len(measures):
            listed = ", ".join(measure.name for measure in measures)
            raise UserError(f"{name} has {len(point)} values; these runs have {len(measures)} objectives: {listed}")
    stated = _agreed(runs, "reference_point")
    origin = "as the command line says"
    if reference is None:
        origin = "as all these runs' settings say" if stated else "1.01 times the worst of their initial designs"
    worst = np.array(reference or stated or reference_point(records), dtype=np.float64)
    best = np.array(ideal or _agreed(runs, "ideal_point") or np.zeros(len(measures)), dtype=np.float64)
    if np.any(best >= worst):
        raise UserError(f"ideal_point {best.tolist()} must be below reference_point {worst.tolist()}")
    return CommonBox(worst, best, origin)


def _agreed(runs: Sequence[Run], key: str) -> list[float] | None:
    """Return the point that all runs have in their settings; ``None`` if they differ or a run has none."""
    said = [run.settings.get(key) for run in runs]
    return said[0] if said[0] and all(point == said[0] for point in said) else None


def images_of(run: Run) -> str:
    """Return the fingerprint of a run's data set, for cascades that of their pool; ``""`` if it is unknown."""
    pool = run.settings.get("pool")
    if not isinstance(pool, dict) or str(pool.get("_target_", "nas.pool.none.NoPool")).endswith(".NoPool"):
        return run.identity.get("dataset", "")
    try:
        facts = yaml.safe_load((run.pool_folders()[0] / "run.json").read_text())
        return str(facts["fingerprints"]["dataset"])
    except (OSError, ValueError, KeyError, TypeError, IndexError, yaml.YAMLError):
        return ""


def _data_name(run: Run) -> str:
    dataset = (run.pool_settings() or run.settings).get("dataset")
    if not isinstance(dataset, dict):
        return "unknown images"
    name = str(dataset.get("name") or str(dataset.get("_target_", "unknown.images.x")).split(".")[-2])
    return "no images" if name == "none" else name


METHOD = ("algorithm", "surrogate", "optimizer", "selector")
"""Settings that define the search method. All other settings define the search problem."""

CASCADES = ("encas", "encas_random", "ensembles", "greedy", "joint_plus")
"""Roles of searches for cascades of other runs' networks."""


def experiments(comparison: Comparison, labels: Collection[str], together: bool) -> list[Comparison]:
    """Return the experiments of some groups: parts of the comparison, each with the hypervolume box of its own runs.

    Groups belong to one experiment if they search the same problem with the same number of evaluations: only settings
    of the method differ. In addition, these groups belong together:

    - NAT's searches on several supernets
    - searches for cascades from the same networks, and the runs that these networks come from
    - ENCAS-joint and NAT on its supernets

    The content of a part and its box do not depend on the groups outside of it.

    Args:
        comparison: Groups of runs.
        labels: Labels of the groups to divide.
        together: Whether all these groups are one experiment.
    """
    groups = [group for group in comparison.groups if group.label in labels]
    if together:
        return [comparison.part(groups)] if groups else []
    return [comparison.part(part) for part in _linked(groups)]


def _linked(groups: Sequence[Group]) -> list[list[Group]]:
    """Return the groups divided into parts. Two groups that share a mark are in the same part."""
    parts: list[tuple[set[str], list[Group]]] = []
    for group in groups:
        marks, members = set(_marks(group)), [group]
        for part in [part for part in parts if part[0] & marks]:
            marks |= part[0]
            members = [*part[1], *members]
            parts.remove(part)
        parts.append((marks, members))
    order = {group.label: place for place, group in enumerate(groups)}
    found = [sorted(members, key=lambda group: order[group.label]) for _, members in parts]
    return sorted(found, key=lambda members: order[members[0].label])


def _marks(group: Group) -> Iterator[str]:
    settings, role = decisive(group.runs[0].settings), group.role
    for run in group.runs:
        yield f"run {run.folder}"
    if role.method in CASCADES:
        yield f"pool {role.networks}"
        for run in group.runs:
            yield from (f"run {folder.resolve()}" for folder in run.pool_folders())
    elif role.method in ("nat", "frozen", "joint"):
        kind = "joint" if role.method == "joint" else "nat"
        yield f"{kind} {_text([_budget(settings), settings.get('constraints')])}"
        supernet = settings.get("supernet")
        members = supernet.get("members") if isinstance(supernet, dict) else None
        for node in members.values() if isinstance(members, dict) else [supernet]:
            yield f"supernet {_text(_plain(node))}"
    else:
        problem = {key: value for key, value in settings.items() if key not in (*METHOD, "task")}
        yield f"problem {_text([problem, _budget(settings)])}"


def _budget(settings: Mapping[str, Any]) -> int | None:
    """Return the number of evaluations in the settings of a search; ``None`` if they do not contain it."""
    node = settings.get("algorithm")
    found = [node.get(name) for name in ("n_doe", "n_iter", "iterations")] if isinstance(node, dict) else []
    counts = [count for count in found if isinstance(count, int)]
    return counts[0] + counts[1] * counts[2] if len(counts) == 3 else None


def _plain(node: Any) -> Any:
    return {key: value for key, value in node.items() if key != "_partial_"} if isinstance(node, dict) else node


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
