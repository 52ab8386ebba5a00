"""Style of printed figures: PDF with embedded fonts, PNG at 300 dpi, colors for color-blind readers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

INK = "#444444"
"""Color of text in figures for the screen."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b14b8f", "#b87a00", "#2f9bd6", "#6b6b6b", "#6a51a3")
"""Colors of groups after Okabe and Ito (2008), darkened for thin lines; the page of the report uses the same."""

MARKERS = ("o", "s", "^", "v")
DASHES = ("-", "--", ":", "-.")

LETTER = 0.058
"""Width of a letter in a legend, in inches."""

MOST_COLUMNS = 6
"""Maximum number of columns in a legend."""

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


@contextmanager
def printed_style(**more: Any) -> Iterator[None]:
    """Use the style of printed figures within a ``with`` block; ``more`` are further matplotlib settings."""
    settings: dict[Any, Any] = STYLE | more
    with matplotlib.rc_context(settings):
        yield


def save_printed(figure: Figure, folder: Path, name: str) -> str:
    """Write a figure as PDF and PNG into an existing folder; return the file names for messages."""
    FigureCanvasAgg(figure)
    for kind in ("pdf", "png"):
        figure.savefig(folder / f"{name}.{kind}")
    return f"{name}.pdf, .png"


def look(group: int) -> tuple[str, str, str]:
    """Return the color, line style and marker of a group, given by its number.

    Example:
        >>> look(0), look(9)
        (('#0072b2', '-', 'o'), ('#d55e00', '--', 's'))
    """
    return COLOURS[group % 8], DASHES[group // 8 % 4], MARKERS[group % 4]


def logarithmic(axes: Axes) -> None:
    """Make the x axis logarithmic, with labels at 1, 2 and 5 times each power of ten."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def add_legend(figure: Figure, axes: Axes) -> None:
    """Add a legend above all axes in as many columns as fit; the figure grows by the legend's height."""
    handles, labels = axes.get_legend_handles_labels()
    width, height = figure.get_size_inches()
    labels = ["\n".join(wrap(label, int((width - 0.45) / LETTER))) for label in labels]
    canvas = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    for columns in range(min(len(labels), MOST_COLUMNS), 0, -1):
        legend = figure.legend(handles, labels, frameon=False, loc="outside upper center", ncols=columns)
        extent = legend.get_window_extent(renderer)
        if extent.width <= figure.bbox.width or columns == 1:
            figure.set_size_inches(width, height + extent.height / figure.dpi)
            return
        legend.remove()
