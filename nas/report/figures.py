"""Pictures of a run: its trade-off front and its hypervolume.

Drawn with matplotlib's objects alone (no pyplot): no global state, no window, and usable in any thread. Blue and
vermilion are told apart by colour-blind readers and in grey print.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from nas.files import write_atomic
from nas.pareto import non_dominated
from nas.types import Floats, Measure

SIZE = (6.4, 4.2)
DPI = 144
MARGINS = (0.11, 0.125, 0.86, 0.8)
"""Left, bottom, width and height of the axes as shares of the picture: the same at every step."""
INITIAL, EARLY, LATE = "#b8b8b8", "#bcd7ee", "#2b6ca3"
FRONT, TEST, INK = "#c8501e", "#1a1a1a", "#444444"
STEPS = LinearSegmentedColormap.from_list("steps", [to_rgb(EARLY), to_rgb(LATE)])


def front_figure(
    path: Path,
    *,
    objectives: Sequence[Measure],
    values: Floats,
    steps: npt.NDArray[np.int64],
    hypervolume: float,
    test: Floats | None = None,
) -> None:
    """Draw the evaluations and their non-dominated front to a PNG file: the second objective on x, the first on y.

    With more than two objectives the front is that of all of them; the line joins what is non-dominated in the
    first two. The y axis ends where the front does, more or less: the worst evaluations may lie above it, and the
    legend says how many.

    Args:
        path: the PNG file; replaced atomically.
        objectives: names and units, length m, at least 2.
        values: objectives of all evaluations, shape (n, m), n at least 1, minimised.
        steps: the step of each evaluation, shape (n,); 0 is the initial design.
        hypervolume: of the front, normalised, 0 to 1.
        test: the final front with its error on the test set, shape (k, m), in the objectives' units.
    """
    figure, axes = _axes(_label(objectives[1]), _label(objectives[0]))
    cost, error = values[:, 1], values[:, 0]
    front = non_dominated(values)
    _limits(axes, values, front, test)
    hidden = int(np.sum(error > axes.get_ylim()[1]))

    initial = steps == 0
    axes.scatter(cost[initial], error[initial], s=14, color=INITIAL, linewidths=0, label="initial design")
    if not initial.all():
        later = axes.scatter(cost[~initial], error[~initial], s=14, c=steps[~initial], cmap=STEPS, linewidths=0)
        later.set_clim(1, max(int(steps.max()), 2))
        bar = figure.colorbar(later, ax=axes, pad=0.02, aspect=32, ticks=MaxNLocator(5, integer=True, min_n_ticks=1))
        bar.set_label("step", color=INK)
        bar.ax.tick_params(colors=INK)
        bar.outline.set_visible(False)
    line = values[front][non_dominated(values[front][:, :2])]
    line = line[np.lexsort((line[:, 0], line[:, 1]))]
    axes.plot(line[:, 1], line[:, 0], color=FRONT, linewidth=1.3, drawstyle="steps-post")
    _markers(axes, values[front], "front", marker="o", size=32, face=FRONT, edge="white")
    if test is not None:
        _markers(axes, test, "front, test set", marker="D", size=18, face="none", edge=TEST)
    if hidden:
        axes.plot([], [], linestyle="none", label=f"{hidden} above the axis")
    axes.legend(edgecolor="none", framealpha=0.85, labelcolor=INK, fontsize="small", loc="upper right")
    _title(axes, f"hypervolume {hypervolume:.4f}", f"{len(front)} of {len(values)} architectures on the front")
    _write(figure, path)


def hypervolume_figure(path: Path, *, evaluations: npt.NDArray[np.int64], hypervolume: Floats) -> None:
    """Draw the hypervolume after every step to a PNG file.

    Args:
        path: the PNG file; replaced atomically.
        evaluations: how many evaluations the run had after each step, shape (s,), s at least 1, ascending.
        hypervolume: of the front after each step, shape (s,), normalised, 0 to 1.
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
    figure = Figure(figsize=SIZE, dpi=DPI)
    axes = figure.add_axes(MARGINS)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK, which="both")
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


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
    """Set both axes so that the front fills them.

    The y axis ends above the 90th percentile of the front's errors; it goes on to three quarters of all evaluations
    as far as the front keeps about a third of the height.
    """
    shown = values if test is None else np.vstack([values, test])
    cost, error = shown[:, 1], shown[:, 0]
    if cost.min() > 0 and cost.max() > 10 * cost.min():
        axes.set_xscale("log")
        _plain_log_ticks(axes.xaxis)
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


def _plain_log_ticks(axis: Axis) -> None:
    """Label 1, 2 and 5 of each decade as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _label(measure: Measure) -> str:
    name = measure.name.replace("_", " ")
    return f"{name} ({measure.unit})" if measure.unit else name


def _title(axes: Axes, left: str, right: str) -> None:
    axes.set_title(left, loc="left", fontsize="medium", fontweight="bold", color=INK)
    axes.set_title(right, loc="right", fontsize="small", color=INK)


def _write(figure: Figure, path: Path) -> None:
    write_atomic(path, FigureCanvasAgg(figure).print_png)
