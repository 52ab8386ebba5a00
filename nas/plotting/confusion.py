"""Figure of a confusion matrix."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from nas.files import write_atomic
from nas.plotting.style import INK

SHADES = LinearSegmentedColormap.from_list("share", ["#ffffff", "#bcd7ee", "#2b6ca3", "#0d2a45"])
NAMED, NUMBERED = 40, 15
"""Maximum number of classes for readable class names, and for readable numbers in the cells."""
NAME_LENGTH = 18
PIXELS = 144


def confusion_figure(
    path: Path, *, title: str, confusion: npt.NDArray[np.int64], class_names: Sequence[str] | None
) -> None:
    """Draw a confusion matrix to a PNG file: classes as rows, predictions as columns, shares of each class's images.

    Args:
        path: Path of the PNG file; written atomically.
        title: Title of the figure.
        confusion: Number of images of each class (row) by predicted class (column), shape (c, c).
        class_names: Names of the classes, length c; ``None`` for their numbers. A name with letters that the font lacks
            is replaced by the number of the class.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "confusion.png"
        ...     confusion_figure(path, title="digits", confusion=np.array([[9, 1], [0, 10]]), class_names=("0", "1"))
        ...     path.read_bytes()[1:4]
        b'PNG'
    """
    n = len(confusion)
    side = float(np.clip(0.32 * n + 2.4, 5.2, 12))
    figure = Figure(figsize=(side + 0.8, side), dpi=PIXELS, layout="constrained")
    axes = figure.subplots()
    images = confusion.sum(axis=1, keepdims=True)
    shares = 100 * confusion / np.maximum(images, 1)
    shown = axes.imshow(shares, cmap=SHADES, vmin=0, vmax=100, interpolation="nearest" if n <= 200 else "antialiased")
    colours = figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.03)
    colours.set_label("share of the class's images (%)", color=INK)
    colours.outline.set_visible(False)
    if n <= NAMED:
        names = [_label(i, name) for i, name in enumerate(class_names or map(str, range(n)))]
        turned = max(map(len, names)) > 2
        axes.set_xticks(range(n), names, rotation=90 if turned else 0, fontsize="small", parse_math=False)
        axes.set_yticks(range(n), names, fontsize="small", parse_math=False)
    if n <= NUMBERED:
        for row, column in np.argwhere(confusion > 0).tolist():
            dark = shares[row, column] > 45
            text = str(confusion[row, column])
            axes.text(column, row, text, ha="center", va="center", fontsize="small", color="white" if dark else INK)
    axes.set_xlabel("answer", color=INK)
    axes.set_ylabel("class", color=INK)
    axes.set_title(title, loc="left", fontsize="medium", fontweight="bold", color=INK, parse_math=False)
    axes.tick_params(colors=INK, length=0)
    axes.spines[:].set_color("#cccccc")
    canvas = FigureCanvasAgg(figure)
    write_atomic(path, lambda file: canvas.figure.savefig(file, format="png"))


def _label(index: int, name: str) -> str:
    """Return the shortened name of a class, or its number if the font lacks a letter of the name."""
    if any(get_font(findfont("DejaVu Sans")).get_char_index(ord(letter)) == 0 for letter in name):
        return str(index)
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"
