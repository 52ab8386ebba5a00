"""Figures for print: PDF with embedded fonts, PNG at 300 dots an inch, colours that colour-blind readers tell apart."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from nas.report.architecture import architecture_figure
from nas.report.attainment import LEVELS
from nas.report.comparison import Comparison
from nas.report.payload import front_line, quality_bins, views
from nas.report.pictures import Picture
from nas.report.progress import spread
from nas.report.summary import mean_seconds, number
from nas.types import Measure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b14b8f", "#b87a00", "#2f9bd6", "#6b6b6b", "#6a51a3")
"""After Okabe and Ito (2008), darker where lines are thin; the page has the same."""

MARKERS = ("o", "s", "^", "v")
DASHES = ("-", "--", ":", "-.")
SINGLE, WIDE = (3.5, 2.6), (7.2, 2.5)
"""Inches: a column of a two-column page, and both."""

MOST_INSIDE = 5
"""Groups whose legend is inside of the axes, at most."""

MOST_GENES = 4
"""Groups whose genes are in one figure, at most; the page has all."""

STYLE: dict[Any, Any] = {
    "pdf.fonttype": 42,  # TrueType, which publishers accept
    "font.size": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "savefig.dpi": 300,
    "figure.constrained_layout.use": True,
}


def write_figures(folder: Path, comparison: Comparison, pictures: Sequence[Picture], suffix: str) -> dict[str, str]:
    """Write every figure of a comparison as PDF and PNG.

    Args:
        folder: must exist.
        comparison: groups of runs.
        pictures: of architectures; those without layers are left out.
        suffix: what the files' names end in.

    Returns:
        What each shows, by the name of its files.
    """
    said = {}
    with matplotlib.rc_context(STYLE):
        for name, what, figure in _figures(comparison):
            FigureCanvasAgg(figure)
            for kind in ("pdf", "png"):
                figure.savefig(folder / f"{name}{suffix}.{kind}")
            said[f"{name}{suffix}.pdf, .png"] = what
    for i, picture in enumerate(pictures):
        if picture.layers:
            for kind in ("pdf", "png"):
                path = folder / f"architecture_{i}{suffix}.{kind}"
                resolution = int(picture.config["r"])
                with matplotlib.rc_context({"pdf.fonttype": STYLE["pdf.fonttype"]}):
                    architecture_figure(path, title=picture.title, resolution=resolution, layers=picture.layers)
            said[f"architecture_{i}{suffix}.pdf, .png"] = f"the blocks of an architecture: {picture.title}"
    return said


def _figures(comparison: Comparison) -> Iterator[tuple[str, str, Figure]]:
    yield "front", "the median run's front of each group, and the other runs' paler", _fronts(comparison)
    yield "hypervolume", "medians and quartiles over evaluations", _hypervolume(comparison)
    yield "attainment", "attainment surfaces: median, best, worst", _attainment(comparison)
    if any(len(quality_bins(comparison, group)[0]) for group in comparison.groups):
        yield "surrogate", "quality of predictions of new candidates", _quality(comparison)
    yield "genes", "shares of gene values among new candidates and on the fronts", _genes(comparison)
    if any(sum(mean_seconds(group).values()) > 0 for group in comparison.groups):
        yield "times", "mean seconds of a run by activity", _times(comparison)


def look(group: int) -> tuple[str, str, str]:
    """Return the colour, line and marker of a group."""
    return COLOURS[group % 8], DASHES[group // 8 % 4], MARKERS[group % 4]


def label_of(measure: Measure) -> str:
    """Return an axis label: the name and the unit."""
    name = measure.name.replace("_", " ")
    return f"{name} ({measure.unit})" if measure.unit else name


def front_axes(axes: Axes, comparison: Comparison, other: int) -> None:
    """Label and limit axes on which fronts are drawn: the first objective over another one."""
    shown = views(comparison)
    axes.set_ylim(*shown[0]["ends"])
    if shown[other]["log"]:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(*shown[other]["ends"])
    axes.set_xlabel(label_of(comparison.measures[other]))
    axes.set_ylabel(label_of(comparison.measures[0]))


def add_legend(figure: Figure, axes: Axes, **inside: Any) -> None:
    """Add a legend: inside of the axes, or beside them where there are many groups or long labels."""
    labels = axes.get_legend_handles_labels()[1]
    longest = max(map(len, labels), default=0)
    if len(labels) <= MOST_INSIDE and longest <= 40:
        axes.legend(frameon=False, **inside)
        return
    width, height = figure.get_size_inches()
    figure.set_size_inches(width + 0.5 + 0.055 * longest, max(height, 0.3 + 0.15 * len(labels)))
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, loc="outside right center")


def _pairs(comparison: Comparison, draw: Callable[[Axes, int], None]) -> Figure:
    """Draw axes for the first objective over each of the others."""
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
    figure = Figure(figsize=SINGLE)
    axes = figure.subplots()
    for g, group in enumerate(comparison.groups):
        colour, dash, _ = look(g)
        least, low, middle, high, most = spread(comparison.curves(group))
        axes.fill_between(comparison.grid, least, most, color=colour, alpha=0.1, linewidth=0, step="post")
        axes.fill_between(comparison.grid, low, high, color=colour, alpha=0.22, linewidth=0, step="post")
        axes.plot(comparison.grid, middle, dash, color=colour, linewidth=1.2, drawstyle="steps-post", label=group.label)
    axes.set_xlabel("evaluations")
    axes.set_ylabel("hypervolume")
    add_legend(figure, axes, loc="lower right")
    return figure


def _attainment(comparison: Comparison) -> Figure:
    def draw(axes: Axes, other: int) -> None:
        for g, group in enumerate(comparison.groups):
            colour, _, _ = look(g)
            for level, style, width in zip(LEVELS, ("--", "-", ":"), (0.6, 1.2, 0.6), strict=True):
                errors, costs = comparison.attainment[other - 1][g][level].T
                x, y = costs[::-1], errors[::-1]
                label = f"{group.label}, median" if level == "median" else None
                axes.plot(x, y, style, color=colour, linewidth=width, drawstyle="steps-post", label=label)

    return _pairs(comparison, draw)


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
        axes.set_ylabel(labels[kind])
    shown = next((axes for axes in figure.axes if axes.lines), figure.axes[0])
    add_legend(figure, shown)
    return figure


def _genes(comparison: Comparison) -> Figure:
    shown = comparison.groups[:MOST_GENES]
    found = comparison.genes[: len(shown)]
    rows = max(sum(map(len, shares.shares)) for shares in found)
    figure = Figure(figsize=(1.6 + 2.4 * len(shown), 0.8 + 0.055 * rows))
    for group, shares, axes in zip(shown, found, np.atleast_1d(figure.subplots(1, len(shown))), strict=True):
        image = np.vstack([rows[::-1] for rows in shares.shares])
        image = np.insert(image, image.shape[1] - 1, np.nan, axis=1)  # a gap before the fronts' column
        axes.imshow(np.sqrt(image), cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="none")
        ends = np.cumsum([len(rows) for rows in shares.shares])
        axes.hlines(ends[:-1] - 0.5, -0.5, image.shape[1] - 0.5, color="white", linewidth=0.8)
        names = shares.genes if group is shown[0] or shares.genes != found[0].genes else [""] * len(ends)
        axes.set_yticks(ends - np.diff(ends, prepend=0) / 2 - 0.5, names, fontsize=4.5)
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


@contextmanager
def printed_style() -> Iterator[None]:
    """Use the style of print within a block."""
    with matplotlib.rc_context(STYLE):
        yield
