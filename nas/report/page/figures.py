"""Figures of a comparison for print."""

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from textwrap import wrap

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nas.plotting.architecture import architecture_figure
from nas.plotting.style import COLOURS, STYLE, add_legend, logarithmic, look, printed_style, save_printed
from nas.report.data.comparison import Comparison
from nas.report.data.fronts import LEVELS, spread
from nas.report.page.payload import front_line, hypervolume_panels, quality_bins, views
from nas.report.page.pictures import Picture
from nas.report.page.summary import mean_seconds
from nas.report.statistics.genes import RowTexts
from nas.report.statistics.tests import number
from nas.types import Floats

SINGLE, WIDE = (3.5, 2.6), (7.2, 2.5)
"""Sizes of figures in inches: one column of a two-column page, and both columns."""

MOST_GENES = 4
"""Largest number of groups in the figure of genes. The page shows all groups."""


def write_figures(
    folder: Path, comparison: Comparison, pictures: Sequence[Picture], texts: Sequence[RowTexts], suffix: str
) -> dict[str, str]:
    """Write every figure of a comparison as PDF and PNG.

    Args:
        folder: Existing folder for the files.
        comparison: Groups of runs.
        pictures: Pictures of architectures. Those without layers are left out.
        texts: Texts for the rows of genes, one list per group.
        suffix: End of the files' names.

    Returns:
        Descriptions of the figures by file names.
    """
    said = {}
    with printed_style():
        for name, what, figure in _figures(comparison, texts):
            said[save_printed(figure, folder, f"{name}{suffix}")] = what
    for i, picture in enumerate(pictures):
        if picture.layers:
            for kind in ("pdf", "png"):
                path = folder / f"architecture_{i}{suffix}.{kind}"
                resolution = int(picture.config["r"])
                with matplotlib.rc_context({"pdf.fonttype": STYLE["pdf.fonttype"]}):
                    architecture_figure(path, title=picture.title, resolution=resolution, layers=picture.layers)
            said[f"architecture_{i}{suffix}.pdf, .png"] = f"the blocks of an architecture: {picture.title}"
    return said


def _figures(comparison: Comparison, texts: Sequence[RowTexts]) -> Iterator[tuple[str, str, Figure]]:
    yield "front", "the median run's front of each group, and the other runs' paler", _fronts(comparison)
    if comparison.moves:
        yield "hypervolume", "medians and quartiles over evaluations", _hypervolume(comparison)
    yield "attainment", "attainment surfaces: median, best, worst", _attainment(comparison)
    if any(len(quality_bins(comparison, group)[0]) for group in comparison.groups):
        yield "surrogate", "quality of predictions of new candidates", _quality(comparison)
    yield "genes", "shares of gene values among new candidates and on the fronts", _genes(comparison, texts)
    if any(sum(mean_seconds(group).values()) > 0 for group in comparison.groups):
        yield "times", "mean seconds of a run by activity", _times(comparison)


def front_axes(axes: Axes, comparison: Comparison, other: int) -> None:
    """Set labels and limits of axes for fronts: the first objective over objective ``other``."""
    shown = views(comparison)
    axes.set_ylim(*shown[0]["ends"])
    if shown[other]["log"]:
        logarithmic(axes)
    axes.set_xlim(*shown[other]["ends"])
    axes.set_xlabel(comparison.measures[other].label)
    axes.set_ylabel(comparison.measures[0].label)


def _pairs(comparison: Comparison, draw: Callable[[Axes, int], None]) -> Figure:
    """Draw a figure with axes for the first objective over each of the others."""
    n = len(comparison.measures) - 1
    figure = Figure(figsize=SINGLE if n == 1 else (3.5 * n, 2.6))
    for i, axes in enumerate(np.atleast_1d(figure.subplots(1, n))):
        draw(axes, i + 1)
        front_axes(axes, comparison, i + 1)
    add_legend(figure, figure.axes[0])
    return figure


def _fronts(comparison: Comparison) -> Figure:
    def draw(axes: Axes, other: int) -> None:
        for g, group in enumerate(comparison.groups):
            colour, dash, marker = look(g)
            middle = comparison.median_run(group)
            for run in group.counted:
                line = front_line(comparison.front(run), other)
                chosen = run.name == middle.name
                axes.plot(
                    line[:, 1], line[:, 0], dash, color=colour, linewidth=1.0 if chosen else 0.4,
                    alpha=1.0 if chosen else 0.35, marker=marker if chosen else None, markersize=2.5,
                    drawstyle="steps-post", label=group.label if chosen else None, zorder=3 if chosen else 2,
                )  # fmt: skip

    return _pairs(comparison, draw)


def _hypervolume(comparison: Comparison) -> Figure:
    panels = hypervolume_panels(comparison)
    figure = Figure(figsize=(SINGLE[0], SINGLE[1] * (0.4 + 0.6 * len(panels))))
    found = np.atleast_1d(figure.subplots(len(panels), 1, sharex=True))
    for axes, places in zip(found, panels, strict=True):
        for g in places:
            colour, dash, marker = look(g)
            least, low, middle, high, most = spread(comparison.curves(comparison.groups[g]))
            axes.fill_between(comparison.grid, least, most, color=colour, alpha=0.1, linewidth=0, step="post")
            axes.fill_between(comparison.grid, low, high, color=colour, alpha=0.22, linewidth=0, step="post")
            known = np.flatnonzero(~np.isnan(middle))
            axes.plot(
                comparison.grid, middle, dash, color=colour, linewidth=1.2, drawstyle="steps-post", marker=marker,
                markevery=[int(known[0])], markersize=3,
            )  # fmt: skip
        axes.set_ylabel("hypervolume")
    for g, group in enumerate(comparison.groups):
        colour, dash, marker = look(g)
        found[0].plot([], [], dash, color=colour, linewidth=1.2, marker=marker, markersize=3, label=group.label)
    found[-1].set_xlabel("evaluations")
    found[-1].xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    add_legend(figure, found[0])
    return figure


def _attainment(comparison: Comparison) -> Figure:
    def draw(axes: Axes, other: int) -> None:
        for g, group in enumerate(comparison.groups):
            colour, dash, _ = look(g)
            surfaces = [comparison.attainment[other - 1][g][level][::-1].T for level in LEVELS]
            for (errors, costs), style, width in zip(surfaces, ("-", dash, "-"), (0.4, 1.2, 0.4), strict=True):
                label = group.label if width > 1 else None
                alpha = 1.0 if width > 1 else 0.5
                x, y = costs, errors
                axes.plot(x, y, style, color=colour, linewidth=width, alpha=alpha, drawstyle="steps-post", label=label)
            _between(axes, surfaces[0], surfaces[-1], colour)
        axes.set_title("bold: median run; band: best to worst", loc="left", fontsize=6)

    return _pairs(comparison, draw)


def _between(axes: Axes, best: Floats, worst: Floats, colour: str) -> None:
    """Fill the area between two surfaces. Each has errors and costs, shape (2, k), ascending in cost."""
    costs = np.unique(np.concatenate([best[1], worst[1]]))
    costs = costs[costs >= worst[1].min()]
    low, high = (surface[0][np.searchsorted(surface[1], costs, side="right") - 1] for surface in (best, worst))
    axes.fill_between(costs, low, high, step="post", color=colour, alpha=0.12, linewidth=0)


def _quality(comparison: Comparison) -> Figure:
    figure = Figure(figsize=WIDE)
    labels = (f"error ({comparison.measures[0].unit})", "Spearman's rho", "Kendall's tau")
    for kind, axes in enumerate(figure.subplots(1, 3)):
        for g, group in enumerate(comparison.groups):
            steps, quartiles = quality_bins(comparison, group)
            if len(steps) == 0:
                continue
            colour, dash, _ = look(g)
            axes.fill_between(steps, quartiles[kind][0], quartiles[kind][2], color=colour, alpha=0.2, linewidth=0)
            axes.plot(steps, quartiles[kind][1], dash, color=colour, linewidth=1.2, label=group.label)
        axes.set_xlabel("iteration")
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        axes.set_ylabel(labels[kind])
    shown = next((axes for axes in figure.axes if axes.lines), figure.axes[0])
    add_legend(figure, shown)
    return figure


def _genes(comparison: Comparison, texts: Sequence[RowTexts]) -> Figure:
    shown = comparison.groups[:MOST_GENES]
    found = comparison.genes[: len(shown)]
    rows = max(sum(map(len, shares.shares)) for shares in found)
    figure = Figure(figsize=(1.9 + 2.6 * len(shown), 0.8 + 0.07 * rows))
    each = np.atleast_1d(figure.subplots(1, len(shown)))
    for group, shares, said, axes in zip(shown, found, texts, each, strict=False):
        image = np.vstack([rows[::-1] for rows in shares.shares])
        image = np.insert(image, image.shape[1] - 1, np.nan, axis=1)  # a gap before the fronts' column
        axes.imshow(np.sqrt(image), cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="none")
        ends = np.cumsum([len(rows) for rows in shares.shares])
        axes.hlines(ends[:-1] - 0.5, -0.5, image.shape[1] - 0.5, color="white", linewidth=0.8)
        alike = group is not shown[0] and (shares.genes, said) == (found[0].genes, texts[0])
        values = [text for rows in said for text in reversed(rows)]
        axes.set_yticks(range(len(values)), [""] * len(values) if alike else values, minor=True)
        axes.tick_params(axis="y", which="minor", length=0, pad=1, labelsize=4)
        axes.yaxis.remove_overlapping_locs = False
        longest = max(map(len, values))
        axes.set_yticks(
            ends - np.diff(ends, prepend=0) / 2 - 0.5, [""] * len(ends) if alike else shares.genes, fontsize=4.5
        )
        axes.tick_params(axis="y", which="major", pad=4 + 2.3 * longest)
        axes.set_xticks([0, len(shares.steps) - 1, image.shape[1] - 1], [shares.steps[0], shares.steps[-1], "front"])
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.set_title("\n".join(wrap(group.label, 30)), fontsize=8)
        axes.set_xlabel("iteration")
    return figure


def _times(comparison: Comparison) -> Figure:
    found = [mean_seconds(group) for group in comparison.groups]
    longest = max(len(group.label) for group in comparison.groups)
    figure = Figure(figsize=(max(SINGLE[0], 2.2 + 0.06 * longest), 0.9 + 0.28 * len(found)))
    axes = figure.subplots()
    left = np.zeros(len(found))
    colours = cycle(COLOURS)
    for name in dict.fromkeys(name for seconds in found for name in seconds):
        values = np.array([seconds.get(name, 0.0) for seconds in found])
        axes.barh(range(len(found)), values, left=left, height=0.6, color=next(colours), label=name)
        left += values
    axes.set_yticks(range(len(found)), [group.label for group in comparison.groups])
    axes.invert_yaxis()
    for row, total in enumerate(left):
        axes.text(total, row, f" {number(total)} s", va="center", fontsize=6)
    axes.set_xlim(0, 1.15 * left.max())
    axes.set_xlabel("seconds of a run")
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    return figure
