"""Figures of the papers, drawn from runs: fronts with their spread over seeds, and hypervolume over supernets."""

import io
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nas.plotting.style import add_legend, logarithmic, look, printed_style, save_printed
from nas.report.data.comparison import Comparison
from nas.report.papers.exhibits import (
    Fronts,
    Line,
    figures_of,
    front_on,
    impact_of_supernets,
    middle_run,
    split_of,
)
from nas.report.papers.published import PublishedMethod, flops_column
from nas.types import Floats

SIZE = (3.5, 2.8)
PUBLISHED_MARKERS = ("D", "P", "X", "*", "h")
PUBLISHED_COLOURS = ("#444444", "#7a7a7a", "#9a6a3a", "#5a7a5a", "#6a5a8a")


@dataclass(frozen=True)
class Drawn:
    """Figure for the page.

    Attributes:
        title: Title of the figure.
        address: Picture as a ``data:`` URL.
    """

    title: str
    address: str


def write_exhibits(
    folder: Path, comparison: Comparison, methods: Sequence[PublishedMethod], suffix: str
) -> tuple[dict[str, str], list[Drawn]]:
    """Write those figures of the papers for which the runs suffice, as PDF and PNG.

    Args:
        folder: Existing folder for the files.
        comparison: Groups of runs.
        methods: Published networks.
        suffix: End of the files' names.

    Returns:
        Titles of the figures by file names, and the figures for the page.
    """
    said, drawn = {}, []
    with printed_style(**{"svg.hashsalt": "nas"}):
        for name, title, figure in _figures(comparison, methods):
            said[save_printed(figure, folder, f"{name}{suffix}")] = title
            with io.BytesIO() as buffer:
                figure.savefig(buffer, format="svg", metadata={"Date": None})
                address = f"data:image/svg+xml;base64,{b64encode(buffer.getvalue()).decode()}"
            drawn.append(Drawn(title, address))
    return said, drawn


def _figures(comparison: Comparison, methods: Sequence[PublishedMethod]) -> Iterator[tuple[str, str, Figure]]:
    for fronts in figures_of(comparison, methods):
        yield fronts.exhibit.name, fronts.exhibit.title, _fronts(comparison, fronts)
    lines = impact_of_supernets(comparison)
    if lines:
        yield "papers_impact", "Impact of the number of supernets (ENCAS, Fig. 9 and 10)", _impact(lines)


def _fronts(comparison: Comparison, fronts: Fronts) -> Figure:
    figure = Figure(figsize=SIZE)
    axes = figure.subplots()
    split = split_of(comparison)
    found = []
    for g, shown in enumerate(fronts.shown):
        colour, dash, marker = look(g)
        each = [front_on(comparison, run, split)[:, :2] for run in shown.group.counted]
        found += each
        if len(each) > 1:
            costs, least, most = spread_over_seeds(each)
            axes.fill_between(costs, least, most, color=colour, alpha=0.18, linewidth=0, step="post")
        middle = front_on(comparison, middle_run(comparison, shown.group, split), split)
        axes.plot(middle[:, 1], middle[:, 0], dash, color=colour, linewidth=1.1, marker=marker, markersize=2.2,
                  label=shown.label, zorder=3)  # fmt: skip
    if flops_column(comparison) == 1:
        _published(axes, fronts.published)
    _limits(axes, comparison, found, fronts.published)
    axes.set_xlabel(comparison.measures[1].label)
    axes.set_ylabel(f"{comparison.measures[0].label}, {split}")
    add_legend(figure, axes)
    return figure


def spread_over_seeds(fronts: Sequence[Floats]) -> tuple[Floats, Floats, Floats]:
    """Return the range over runs of the lowest error at each cost.

    Args:
        fronts: Errors and costs of each run's front, shape (k, 2).

    Returns:
        Costs in ascending order, from the first cost at which every run has a network; the smallest and the largest
        error at each cost; shape (c,) each.

    Example:
        >>> spread_over_seeds([np.array([[9.0, 1.0], [5.0, 3.0]]), np.array([[8.0, 2.0]])])
        (array([2., 3.]), array([8., 5.]), array([9., 8.]))
    """
    start = max(float(front[:, 1].min()) for front in fronts)
    costs = np.unique(np.concatenate([front[:, 1] for front in fronts]))
    costs = costs[costs >= start]
    best = np.array([[front[front[:, 1] <= cost, 0].min() for cost in costs] for front in fronts])
    return costs, best.min(axis=0), best.max(axis=0)


def _published(axes: Axes, methods: Sequence[PublishedMethod]) -> None:
    for i, method in enumerate(methods):
        axes.plot(method.values[:, 1], method.values[:, 0], ":", color=PUBLISHED_COLOURS[i % 5], linewidth=0.6,
                  marker=PUBLISHED_MARKERS[i % 5], markersize=3.2, markerfacecolor="none", markeredgewidth=0.7,
                  label=f"{method.method} (published)", zorder=2)  # fmt: skip


def _limits(axes: Axes, comparison: Comparison, fronts: Sequence[Floats], methods: Sequence[PublishedMethod]) -> None:
    """Set the limits: errors up to the 90th percentile, costs up to the runs' or those of nearby published networks."""
    errors, costs = np.vstack(fronts).T
    low, high = float(errors.min()), float(np.percentile(errors, 90))
    near = [m.values[m.values[:, 1] <= 1.5 * costs.max()] for m in methods if flops_column(comparison) == 1]
    for values in near:
        if len(values):
            low, high = min(low, values[:, 0].min()), max(high, values[:, 0].max())
            costs = np.append(costs, values[:, 1])
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    axes.set_ylim(low - room, high + 2 * room)
    least, most = float(costs.min()), float(costs.max())
    if least > 0 and most > 10 * least:
        logarithmic(axes)
        axes.set_xlim(least / 1.12, most * 1.12)
    else:
        axes.set_xlim(least - 0.04 * (most - least or least), most + 0.04 * (most - least or least))


def _impact(lines: Sequence[Line]) -> Figure:
    figure = Figure(figsize=SIZE)
    axes = figure.subplots()
    for g, line in enumerate(lines):
        colour, dash, marker = look(g)
        places = np.array(line.supernets) + 0.06 * (g - (len(lines) - 1) / 2)
        low, middle, high = np.array([np.quantile(values, [0.25, 0.5, 0.75]) for values in line.values]).T
        axes.errorbar(places, middle, [middle - low, high - middle], color=colour, linestyle=dash, marker=marker,
                      markersize=3.5, linewidth=1.1, elinewidth=0.8, capsize=2.5, label=line.label)  # fmt: skip
        for place, values in zip(places, line.values, strict=True):
            axes.plot(np.full(len(values), place), values, ".", color=colour, markersize=2.5, alpha=0.4)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("number of supernets")
    axes.set_ylabel("hypervolume")
    add_legend(figure, axes)
    return figure
