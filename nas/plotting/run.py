"""Figures of a run: its Pareto front and its hypervolume.

They use matplotlib's objects without pyplot: there is no global state and no window, and any thread can draw. Blue and
vermilion can be distinguished by color-blind readers and in gray print.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nas.files import write_atomic
from nas.pareto import non_dominated
from nas.plotting.style import INK, logarithmic
from nas.types import Floats, Measure

SIZE = (6.4, 4.6)
DPI = 144
LEFT, BOTTOM, RIGHT, TOP, BETWEEN = 0.72, 0.86, 0.78, 0.36, 0.6
"""Margins around and between axes in inches, the same at every step; legend at the bottom, color bar at the right."""
INITIAL, EARLY, LATE = "#b8b8b8", "#bcd7ee", "#2b6ca3"
FRONT, TEST = "#c8501e", "#1a1a1a"
STEPS = LinearSegmentedColormap.from_list("steps", [to_rgb(EARLY), to_rgb(LATE)])


def front_figure(
    path: Path,
    *,
    objectives: Sequence[Measure],
    values: Floats,
    steps: npt.NDArray[np.int64],
    hypervolume: float,
    noun: str,
    test: Floats | None = None,
) -> None:
    """Draw the evaluations and their Pareto front to a PNG file: the second objective on x, the first on y.

    With more than two objectives, there is one panel for each objective after the first. The front is that of all
    objectives; the line in a panel joins the points that are non-dominated in its two objectives. The y axis ends near
    the end of the front. The worst evaluations may lie above it; the legend gives their number.

    Args:
        path: Path of the PNG file; written atomically.
        objectives: Names and units of the objectives, length m, at least 2.
        values: Objectives of all evaluations, shape (n, m), n at least 1, minimized.
        steps: Step of each evaluation, shape (n,); 0 is the initial design.
        hypervolume: Hypervolume of the front, normalized, 0 to 1.
        noun: Word for the evaluated objects, see :func:`noun_of`.
        test: Final front with its error on the test set, shape (k, m), in the units of the objectives; ``None`` if it
            was not evaluated.

    Example:
        >>> import tempfile
        >>> objectives = [Measure("top1_error", "%"), Measure("flops", "M multiply-adds")]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "front.png"
        ...     front_figure(path, objectives=objectives, values=np.array([[20.0, 90.0], [25.0, 60.0], [30.0, 80.0]]),
        ...                  steps=np.array([0, 0, 1]), hypervolume=0.5, noun="architectures")
        ...     path.read_bytes()[1:4]
        b'PNG'
    """
    figure, panels = _panels([measure.label for measure in objectives[1:]], objectives[0].label)
    front = non_dominated(values)
    for other, axes in enumerate(panels, start=1):
        pairs = np.column_stack([values[:, 0], values[:, other]])
        measured = None if test is None else np.column_stack([test[:, 0], test[:, other]])
        later = _draw_front(axes, pairs, front, steps, measured)
    if later is not None:
        _step_colours(figure, later)
    hidden = int(np.sum(values[:, 0] > panels[0].get_ylim()[1]))
    if hidden:
        panels[0].plot([], [], linestyle="none", label=f"{hidden} above the axis")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, labelcolor=INK, fontsize="small", loc="lower center", ncols=4)
    _title(panels[0], f"hypervolume {hypervolume:.4f}", "")
    _title(panels[-1], panels[-1].get_title(loc="left"), f"{len(front)} of {len(values)} {noun} on the front")
    _write(figure, path)


def noun_of(config: Mapping[str, Any]) -> str:
    """Return the plural noun for a configuration: architectures, cascades or ensembles.

    Example:
        >>> noun_of({"d": [2, 3], "r": 224}), noun_of({"networks": [0, 3], "thresholds": [0.7]})
        ('architectures', 'cascades')
    """
    if "networks" in config:
        return "cascades" if {"thresholds", "gaps"} & config.keys() else "ensembles"
    joint = any(isinstance(value, Mapping) and "position" in value for value in config.values())
    return "cascades" if joint else "architectures"


def _draw_front(
    axes: Axes, values: Floats, front: npt.NDArray[np.int64], steps: npt.NDArray[np.int64], test: Floats | None
) -> PathCollection | None:
    """Draw errors and one cost, shape (n, 2).

    Returns the points of the steps after the initial design; ``None`` if there are none.
    """
    _limits(axes, values, front, test)
    initial = steps == 0
    label = "evaluated" if initial.all() else "initial design"
    if len(front) < len(values):
        axes.scatter(values[initial, 1], values[initial, 0], s=14, color=INITIAL, linewidths=0, label=label)
    later = None
    if not initial.all():
        points = values[~initial]
        later = axes.scatter(points[:, 1], points[:, 0], s=14, c=steps[~initial], cmap=STEPS, linewidths=0)
        later.set_clim(1, max(int(steps.max()), 2))
    line = values[front][non_dominated(values[front])]
    line = line[np.lexsort((line[:, 0], line[:, 1]))]
    axes.plot(line[:, 1], line[:, 0], color=FRONT, linewidth=1.3, drawstyle="steps-post")
    _markers(axes, values[front], "front", marker="o", size=32, face=FRONT, edge="white")
    if test is not None:
        _markers(axes, test, "front, test set", marker="D", size=18, face="none", edge=TEST)
    return later


def _step_colours(figure: Figure, later: PathCollection) -> None:
    """Add a color bar of the steps at the right."""
    width, height = figure.get_size_inches()
    place = ((width - RIGHT + 0.1) / width, BOTTOM / height, 0.12 / width, (height - BOTTOM - TOP) / height)
    ticks = MaxNLocator(5, integer=True, min_n_ticks=1)
    bar = figure.colorbar(later, cax=figure.add_axes(place), ticks=ticks)
    bar.set_label("step", color=INK)
    bar.ax.tick_params(colors=INK)
    bar.outline.set_visible(False)


def hypervolume_figure(path: Path, *, evaluations: npt.NDArray[np.int64], hypervolume: Floats) -> None:
    """Draw the hypervolume after every step to a PNG file.

    Args:
        path: Path of the PNG file; written atomically.
        evaluations: Number of evaluations after each step, shape (s,), s at least 1, ascending.
        hypervolume: Hypervolume of the front after each step, shape (s,), normalized, 0 to 1.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "hypervolume.png"
        ...     hypervolume_figure(path, evaluations=np.array([10, 20]), hypervolume=np.array([0.4, 0.6]))
        ...     path.read_bytes()[1:4]
        b'PNG'
    """
    figure, axes = _axes("evaluations", "hypervolume")
    axes.plot(
        evaluations,
        hypervolume,
        color=FRONT,
        linewidth=1.3,
        marker="o",
        markersize=5.5,
        markeredgecolor="white",
        markeredgewidth=0.8,
        drawstyle="steps-post",
    )
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.yaxis.get_major_formatter().set_useOffset(False)  # type: ignore[attr-defined]
    _title(axes, f"hypervolume {hypervolume[-1]:.4f}", f"{evaluations[-1]} evaluations")
    _write(figure, path)


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    axes = figure.subplots()
    _style(axes, x, y)
    return figure, axes


def _panels(xs: Sequence[str], y: str) -> tuple[Figure, list[Axes]]:
    """Return axes side by side, one for each label of an x axis."""
    n = len(xs)
    inner = (SIZE[0] - LEFT - RIGHT) * (1.0 if n == 1 else 0.85)
    width, height = LEFT + n * inner + (n - 1) * BETWEEN + RIGHT, SIZE[1]
    figure = Figure(figsize=(width, height), dpi=DPI)
    panels = []
    for i, x in enumerate(xs):
        left = (LEFT + i * (inner + BETWEEN)) / width
        axes = figure.add_axes((left, BOTTOM / height, inner / width, (height - BOTTOM - TOP) / height))
        _style(axes, x, y if i == 0 else "")
        panels.append(axes)
    return figure, panels


def _style(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK, which="both")
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)


def _markers(axes: Axes, points: Floats, label: str, *, marker: str, size: float, face: str, edge: str) -> None:
    axes.scatter(
        points[:, 1],
        points[:, 0],
        s=size,
        marker=marker,
        facecolor=face,
        edgecolor=edge,
        linewidths=0.8,
        label=label,
        zorder=3,
    )


def _limits(axes: Axes, values: Floats, front: npt.NDArray[np.int64], test: Floats | None) -> None:
    """Set the limits of both axes so that the front fills the panel.

    The y axis ends above the 90th percentile of the front's errors. It extends to the 75th percentile of all errors as
    long as the front keeps about a third of the height.
    """
    shown = values if test is None else np.vstack([values, test])
    cost, error = shown[:, 1], shown[:, 0]
    if cost.min() > 0 and cost.max() > 10 * cost.min():
        logarithmic(axes)
        axes.set_xlim(cost.min() / 1.15, cost.max() * 1.15)
    else:
        room = 0.04 * np.ptp(cost) or 0.05 * abs(cost.max()) or 1.0
        axes.set_xlim(cost.min() - room, cost.max() + room)
    low = float(error.min())
    found = [values[front, 0]] if test is None else [values[front, 0], test[:, 0]]
    high = max(float(np.percentile(errors, 90)) for errors in found)
    most = float(np.percentile(values[:, 0], 75))
    high = max(high, min(most, low + 2.5 * (high - low)) if high > low else most)
    high = min(float(error.max()), low + 1.2 * (high - low))
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    axes.set_ylim(low - room, high + room)


def _title(axes: Axes, left: str, right: str) -> None:
    axes.set_title(left, loc="left", fontsize="medium", fontweight="bold", color=INK)
    axes.set_title(right, loc="right", fontsize="small", color=INK)


def _write(figure: Figure, path: Path) -> None:
    write_atomic(path, FigureCanvasAgg(figure).print_png)
