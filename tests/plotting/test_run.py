from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from nas.plotting import run as figures
from nas.plotting.run import FRONT, front_figure, hypervolume_figure, noun_of
from nas.types import Floats, Measure
from tests.report.made import covers_no_axes

OBJECTIVES = (Measure("top1_error", "%"), Measure("flops", "M multiply-adds"))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is written."""
    written: list[Figure] = []
    write = figures._write

    def keep(figure: Figure, path: Path) -> None:
        written.append(figure)
        write(figure, path)

    monkeypatch.setattr(figures, "_write", keep)
    return written


def trade_off(n: int) -> Floats:
    """A front of ``n`` points, from 5 % error to 2 %."""
    cost = np.linspace(1.0, 4.0, n)
    return np.stack([6.0 - cost, cost], axis=1)


def draw(path: Path, values: Floats, *, steps: list[int] | None = None, test: Floats | None = None) -> None:
    when = np.zeros(len(values), dtype=np.int64) if steps is None else np.array(steps)
    objectives = (*OBJECTIVES, Measure("params", "M"))[: values.shape[1]]
    noun = "architectures"
    front_figure(path, objectives=objectives, values=values, steps=when, hypervolume=0.5, noun=noun, test=test)


def legend_of(figure: Figure) -> list[str]:
    """The texts of a figure's legend."""
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_front_is_a_readable_picture(tmp_path: Path, drawn: list[Figure]) -> None:
    path = tmp_path / "front.png"
    values = np.vstack([trade_off(6), trade_off(6) + 0.5])
    draw(path, values, steps=[1, 2, 3, 4, 5, 6] + [0] * 6, test=trade_off(6) + np.array([0.2, 0.0]))
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[0] > 400 and pixels.shape[1] > 600
    colour = np.array([int(FRONT[k : k + 2], 16) for k in (1, 3, 5)])
    assert np.sum(np.all(pixels == colour, axis=2)) > 300
    axes = drawn[0].axes[0]
    assert axes.get_xlabel() == "FLOPs (M)"
    assert axes.get_ylabel() == "top-1 error (%)"
    assert legend_of(drawn[0])[:3] == ["initial design", "front", "front, test set"] and covers_no_axes(drawn[0])
    assert axes.get_title(loc="left") == "hypervolume 0.5000"
    assert axes.get_title(loc="right") == "6 of 12 architectures on the front"
    line = axes.lines[0]
    assert np.array_equal(line.get_xdata(), np.linspace(1.0, 4.0, 6))
    assert np.allclose(line.get_ydata(), 6.0 - np.linspace(1.0, 4.0, 6))
    assert [p.name for p in tmp_path.iterdir()] == ["front.png"]


def test_bad_architectures_do_not_hide_the_front(tmp_path: Path, drawn: list[Figure]) -> None:
    bad = np.stack([np.full(40, 90.0), np.linspace(1.0, 4.0, 40)], axis=1)
    tiny = np.array([[89.0, 0.9]])
    draw(tmp_path / "front.png", np.vstack([trade_off(20), bad, tiny]))
    axes = drawn[0].axes[0]
    assert axes.get_ylim()[1] < 15
    assert "41 above the axis" in legend_of(drawn[0])


def test_costs_over_more_than_a_decade_get_a_log_axis(tmp_path: Path, drawn: list[Figure]) -> None:
    draw(tmp_path / "a.png", trade_off(5))
    draw(tmp_path / "b.png", trade_off(5) ** [1.0, 3.0])
    draw(tmp_path / "c.png", trade_off(5) - [0.0, 1.0])
    assert [figure.axes[0].get_xscale() for figure in drawn] == ["linear", "log", "linear"]
    labels = [label.get_text() for label in drawn[1].axes[0].get_xticklabels()]
    assert {"1", "10", "50"} <= set(labels)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.array([[3.0, 2.0]]), id="one point"),
        pytest.param(np.zeros((1, 2)), id="zero"),
        pytest.param(np.full((5, 2), 1.5), id="equal points"),
        pytest.param(np.array([[1.0, 1.0], [90.0, 2.0]]), id="one on the front"),
    ],
)
def test_degenerate_runs_are_drawn(tmp_path: Path, values: Floats, drawn: list[Figure]) -> None:
    draw(tmp_path / "front.png", values)
    left, right = drawn[0].axes[0].get_xlim()
    bottom, top = drawn[0].axes[0].get_ylim()
    assert left < values[:, 1].min() and right > values[:, 1].max()
    assert bottom < values[:, 0].min() < top


def test_a_third_objective_has_axes_of_its_own(tmp_path: Path, drawn: list[Figure]) -> None:
    values = np.array([[1.0, 2.0, 9.0], [2.0, 1.0, 9.0], [3.0, 3.0, 1.0], [4.0, 4.0, 2.0]])
    draw(tmp_path / "front.png", values, steps=[0, 0, 1, 2])
    flops, params = drawn[0].axes[:2]
    assert (flops.get_xlabel(), params.get_xlabel()) == ("FLOPs (M)", "params (M)")
    assert flops.get_title(loc="left") == "hypervolume 0.5000"
    assert params.get_title(loc="right") == "3 of 4 architectures on the front"
    assert np.array_equal(flops.lines[0].get_xdata(), [1.0, 2.0])
    assert np.array_equal(params.lines[0].get_xdata(), [1.0, 9.0])
    assert covers_no_axes(drawn[0])


def test_a_search_of_one_step_has_no_initial_design(tmp_path: Path, drawn: list[Figure]) -> None:
    draw(tmp_path / "front.png", np.vstack([trade_off(4), trade_off(4) + 0.5]))
    draw(tmp_path / "front.png", trade_off(4))
    assert [legend_of(figure)[:2] for figure in drawn] == [["evaluated", "front"], ["front"]]


def test_what_is_evaluated_is_called_by_its_name() -> None:
    assert noun_of({"ks": [3], "r": 8}) == "architectures"
    assert noun_of({"networks": ["a"], "thresholds": []}) == noun_of({"networks": ["a"], "gaps": []}) == "cascades"
    assert noun_of({"a": {"r": 8, "position": 0}, "b": {"r": 8, "position": 1}}) == "cascades"
    assert noun_of({"networks": ["a"]}) == "ensembles"


def test_hypervolume_over_evaluations(tmp_path: Path, drawn: list[Figure]) -> None:
    path = tmp_path / "hypervolume.png"
    hypervolume_figure(path, evaluations=np.array([100, 108, 116]), hypervolume=np.array([0.5, 0.6, 0.65]))
    with Image.open(path) as image:
        assert image.format == "PNG"
    axes = drawn[0].axes[0]
    assert np.array_equal(axes.lines[0].get_xdata(), [100, 108, 116])
    assert np.array_equal(axes.lines[0].get_ydata(), [0.5, 0.6, 0.65])
    assert axes.get_title(loc="left") == "hypervolume 0.6500"
