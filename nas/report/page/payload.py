"""Values for the page's charts, rounded and thinned. The tables contain the exact values."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.pareto import non_dominated
from nas.report.data.comparison import Comparison
from nas.report.data.fronts import first_step, spread, thinned
from nas.report.data.groups import Group
from nas.report.data.runs import Run
from nas.report.page.pictures import Picture
from nas.report.papers.published import PublishedMethod, flops_column, published_for
from nas.report.statistics.genes import GeneShares, RowTexts
from nas.run.record import Record
from nas.types import Floats

CLOUD = 1200
"""Largest number of evaluations of a group that are drawn behind the fronts."""

FRAMES = 60
"""Largest number of frames of the page's animation."""

BINS = 40
"""Largest number of bins of a run's iterations."""

EXACT = 2**53
"""Limit below which integers are exact numbers in JavaScript."""

DIGITS = 5

APART = 10.0
"""Ratio of one group's lowest cost to another group's highest cost above which the groups get separate panels."""


def chart_data(
    comparison: Comparison, pictures: Sequence[Picture], texts: Sequence[RowTexts], methods: Sequence[PublishedMethod]
) -> dict[str, Any]:
    """Return the values for all charts of a comparison.

    Args:
        comparison: Groups of runs.
        pictures: Pictures of architectures.
        texts: Texts for the rows of genes, one list per group.
        methods: Published networks.
    """
    grid = comparison.grid
    return {
        "objectives": [{"name": m.words, "unit": m.short_unit, "label": m.label} for m in comparison.measures],
        "groups": [group.label for group in comparison.groups],
        "views": views(comparison),
        "frames": grid[thinned(len(grid), FRAMES)].tolist(),
        "runs": [_run(comparison, g, run) for g, group in enumerate(comparison.groups) for run in group.evaluated],
        "clouds": [_cloud(group) for group in comparison.groups],
        "hypervolume": {
            "grid": grid.tolist(),
            "spread": [_rows(spread(comparison.curves(group))) for group in comparison.groups],
            "panels": hypervolume_panels(comparison),
        },
        "attainment": _attainment(comparison),
        "quality": [_quality(comparison, group) for group in comparison.groups],
        "genes": [_genes(found, said) for found, said in zip(comparison.genes, texts, strict=True)],
        "pictures": [_layers(picture) for picture in pictures],
        "published": [
            {"method": m.method, "names": m.names, "values": _rows(m.values.T), "other": flops_column(comparison)}
            for m in published_for(comparison, methods)
        ],
    }


def views(comparison: Comparison) -> list[dict[str, Any]]:
    """Return the axis of each objective: its limits, and whether it is logarithmic.

    The axis of the first objective ends a little above the 90th percentile of the fronts' values. Zooming out shows the
    rest.
    """
    fronts = np.vstack([comparison.front(run) for run, _ in comparison.evaluated])
    found = []
    for column, values in enumerate(fronts.T):
        low, high = float(values.min()), float(values.max())
        if column == 0:
            high = min(high, low + 1.3 * (float(np.percentile(values, 90)) - low)) if high > low else high
        log = column > 0 and low > 0 and high > 10 * low
        room = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
        ends = [low / 1.12, high * 1.12] if log else [low - room, high + room]
        found.append({"ends": [_short(end) for end in ends], "log": log})
    return found


def hypervolume_panels(comparison: Comparison) -> list[list[int]]:
    """Return panels of groups with similar costs, whose curves share axes, as lists of the groups' indices.

    If costs differ by a factor of a thousand, as between cascades and small networks, the cheaper groups' curves would
    have almost no height in a common panel.
    """
    fronts = [np.vstack([comparison.front(run)[:, 1:] for run in group.evaluated]) for group in comparison.groups]
    panels: list[list[int]] = []
    for place, costs in enumerate(fronts):
        near = [panel for panel in panels if any(_near(costs, fronts[other]) for other in panel)]
        panels = [panel for panel in panels if panel not in near]
        panels.append(sorted([place, *(other for panel in near for other in panel)]))
    return sorted(panels)


def _near(first: Floats, second: Floats) -> bool:
    """Return whether the costs of two fronts, (n, c) and (k, c), overlap or differ by a factor of at most ``APART``."""
    low, high = np.minimum(first.max(axis=0), second.max(axis=0)), np.maximum(first.min(axis=0), second.min(axis=0))
    return bool(np.all(high <= APART * low))


def _attainment(comparison: Comparison) -> list[dict[str, Any]]:
    """Return the attainment surfaces of the compared runs' fronts, in the first objective and each of the others."""
    return [
        {
            "other": other,
            "groups": [{name: _rows(corners.T) for name, corners in surfaces.items()} for surfaces in groups],
        }
        for other, groups in enumerate(comparison.attainment, start=1)
    ]


def _run(comparison: Comparison, group: int, run: Run) -> dict[str, Any]:
    record, course = _record(run), comparison.courses[run.name]
    places, born, died = course.lifetimes()
    last = course.fronts[-1]
    at = {place: position for position, place in enumerate(places.tolist())}
    again = {}
    for name in ("test", "final"):
        errors = comparison.measured(run, name)[:, 0]
        if not np.isnan(errors).all():
            again[name] = {
                at[place]: _short(e) for place, e in zip(last.tolist(), errors, strict=True) if np.isfinite(e)
            }
    configs = {at[place]: _compact(record.described[place]["config"]) for place in last.tolist()}
    return {
        "name": run.name,
        "group": group,
        "seed": run.seed if run.seed < EXACT else str(run.seed),
        "state": run.state,
        "middle": run.name in {comparison.median_run(g).name for g in comparison.groups},
        "values": _rows(record.objectives[places].T),
        "born": born.tolist(),
        "died": died.tolist(),
        "step": record.step[places].tolist(),
        "index": record.index[places].tolist(),
        "weights": record.weights[places].tolist(),
        "digests": [digest[:12] for digest in record.digests],
        "configs": configs,
        "counts": course.evaluations.tolist(),
        "hypervolume": _shorts(comparison.hypervolumes[run.name]),
    } | again


def _cloud(group: Group) -> dict[str, Any]:
    """Return a sample of a group's evaluations, evenly spaced in the order of evaluation."""
    each = max(CLOUD // max(len(group.evaluated), 1), 1)
    values, counts, initial, total = [], [], [], 0
    for run in group.evaluated:
        record = _record(run)
        good = np.flatnonzero(record.ok)
        places = good[thinned(len(good), each)]
        values.append(record.objectives[places])
        counts.append(places + 1)
        moves = len(np.unique(record.step)) > 1
        initial.append((record.step[places] == first_step(record)) & moves)
        total += len(good)
    shown = np.concatenate(counts)
    return {
        "values": _rows(np.vstack(values).T),
        "counts": shown.tolist(),
        "initial": np.concatenate(initial).astype(int).tolist(),
        "of": total,
    }


def quality_bins(comparison: Comparison, group: Group) -> tuple[npt.NDArray[np.float64], list[Floats]]:
    """Return the mean iteration of each bin, shape (b,), and quartiles of error, rho and tau: three arrays (3, b)."""
    found = [comparison.qualities[run.name] for run in group.evaluated]
    steps = np.concatenate([steps for steps, _ in found])
    values = np.concatenate([values for _, values in found])
    if len(steps) == 0:
        return np.zeros(0), [np.zeros((3, 0))] * 3
    edges = np.unique(np.linspace(steps.min(), steps.max() + 1, BINS + 1).round())
    place = np.searchsorted(edges, steps, side="right") - 1
    used = np.unique(place)
    middles = np.array([steps[place == b].mean() for b in used])
    return middles, [
        np.array([_quartiles(values[place == b, kind]) for b in used]).reshape(-1, 3).T for kind in range(3)
    ]


def _quartiles(values: Floats) -> Floats:
    values = values[~np.isnan(values)]
    return np.quantile(values, [0.25, 0.5, 0.75]) if len(values) else np.full(3, np.nan)


def _quality(comparison: Comparison, group: Group) -> dict[str, Any] | None:
    middles, quartiles = quality_bins(comparison, group)
    return {"steps": _shorts(middles), "values": [_rows(rows) for rows in quartiles]} if len(middles) else None


def _genes(found: GeneShares, texts: RowTexts) -> dict[str, Any]:
    return {
        "genes": found.genes,
        "texts": texts,
        "steps": found.steps.tolist(),
        "shares": [np.rint(100 * shares).astype(int).tolist() for shares in found.shares],
    }


def _layers(picture: Picture) -> list[Mapping[str, Any]]:
    total = max(sum(layer.macs for layer in picture.layers), 1)
    return [
        {
            "name": layer.name,
            "outputs": layer.outputs,
            "side": layer.side,
            "kernel": layer.kernel,
            "stride": layer.stride,
            "expansion": round(layer.expansion, 2),
            "share": round(100 * layer.macs / total, 2),
        }
        for layer in picture.layers
    ]


def front_line(values: Floats, other: int) -> Floats:
    """Return the non-dominated points in the first objective and one other, shape (k, 2), ascending in the other.

    Example:
        >>> front_line(np.array([[5.0, 3.0], [9.0, 1.0], [9.5, 2.0]]), 1)
        array([[9., 1.],
               [5., 3.]])
    """
    pair = values[:, [0, other]]
    pair = pair[non_dominated(pair)]
    return np.asarray(pair[np.lexsort((pair[:, 0], pair[:, 1]))])


def _record(run: Run) -> Record:
    if run.record is None:
        raise ValueError(f"{run.name} has no results")
    return run.record


def _compact(config: Mapping[str, Any]) -> str:
    return json.dumps(config, separators=(",", ":"))


def _short(value: float) -> float | None:
    """Return a number with ``DIGITS`` significant digits; ``None`` for not-a-number, which JSON lacks."""
    return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None


def _shorts(values: Floats) -> list[float | None]:
    return [_short(value) for value in values.tolist()]


def _rows(values: Floats) -> list[list[float | None]]:
    return [_shorts(row) for row in values]
