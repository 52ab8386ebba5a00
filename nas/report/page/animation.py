"""GIF animation of the fronts over the evaluations."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from nas.plotting.style import add_legend, look, printed_style
from nas.report.data.comparison import Comparison
from nas.report.data.fronts import thinned
from nas.report.data.runs import Run
from nas.report.page.figures import front_axes
from nas.report.page.payload import front_line
from nas.types import Floats

FRAMES = 30
MILLISECONDS, LAST = 180, 2500
"""Duration of a frame, and of the last frame."""

CLOUD = 400
"""Largest number of evaluations of a run that are drawn behind its front."""


def write_animation(path: Path, comparison: Comparison) -> None:
    """Draw the front of each group's median run after increasing numbers of evaluations, in the first two objectives.

    Args:
        path: Path of the GIF file.
        comparison: Groups of runs. The median run is the one with the median hypervolume.
    """
    grid = comparison.grid
    with printed_style():
        figure = Figure(figsize=(6.0, 4.0), dpi=110)
        axes, canvas = figure.subplots(), FigureCanvasAgg(figure)
        front_axes(axes, comparison, 1)
        chosen = [comparison.median_run(group) for group in comparison.groups]
        drawn = []
        for g, group in enumerate(comparison.groups):
            colour, dash, marker = look(g)
            cloud = axes.plot([], [], ".", color=colour, markersize=2.5, alpha=0.3, markeredgewidth=0)[0]
            line = axes.plot([], [], dash, color=colour, marker=marker, markersize=4, linewidth=1.2, label=group.label)[
                0
            ]
            line.set(drawstyle="steps-post", linewidth=1.2)
            drawn.append((cloud, line))
        add_legend(figure, axes)
        title = axes.set_title("evaluations", loc="left", fontsize=9)
        moving = [title, *(artist for pair in drawn for artist in pair)]
        for artist in moving:
            artist.set_animated(True)
        canvas.draw()  # type: ignore[no-untyped-call]
        still = canvas.copy_from_bbox(figure.bbox)  # type: ignore[no-untyped-call]
        frames = []
        for count in grid[thinned(len(grid), FRAMES)].tolist():
            for run, (cloud, line) in zip(chosen, drawn, strict=True):
                points, front = _state(comparison, run, count)
                cloud.set_data(points[:, 1], points[:, 0])
                line.set_data(front[:, 1], front[:, 0])
            title.set_text(f"{count} evaluations")
            canvas.restore_region(still)  # type: ignore[no-untyped-call]
            for artist in moving:
                axes.draw_artist(artist)
            pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
            frames.append(Image.fromarray(pixels).convert("RGB"))
    palette = frames[-1].quantize(64)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    times = [MILLISECONDS] * (len(frames) - 1) + [LAST]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=times, loop=0, optimize=False)


def _state(comparison: Comparison, run: Run, count: int) -> tuple[Floats, Floats]:
    """Return a sample of a run's first ``count`` evaluations, shape (n, m), and its front then, shape (k, 2)."""
    record, course = run.record, comparison.courses[run.name]
    assert record is not None
    after = int(np.searchsorted(course.evaluations, count, side="right")) - 1
    if after < 0:
        return np.zeros((0, 2)), np.zeros((0, 2))
    good = np.flatnonzero(record.ok)
    places = good[thinned(len(good), CLOUD)]
    return record.objectives[places[places < count]], front_line(record.objectives[course.fronts[after]], 1)
