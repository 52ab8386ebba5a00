import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from nas.plotting.style import COLOURS, add_legend, look, printed_style
from nas.report.data.comparison import compare_runs
from nas.report.page.figures import SINGLE, _attainment, _fronts, _genes, _hypervolume, _quality, write_figures
from nas.report.page.payload import hypervolume_panels
from nas.report.statistics.genes import row_texts
from tests.report.made import RANDOM, SETTINGS, covers_no_axes, made_run


@pytest.fixture(autouse=True)
def style():
    """All figures are in the style of print."""
    with printed_style():
        yield


@pytest.mark.slow
@pytest.mark.parametrize("objectives", [2, 3])
def test_figures_for_print(tmp_path, objectives):
    kinds = {"m": SETTINGS, "r": RANDOM}
    runs = [
        made_run(tmp_path / f"{name}{i}", seed=i, settings=settings, objectives=objectives)
        for name, settings in kinds.items()
        for i in range(2)
    ]
    comparison = compare_runs(runs, None, None)[0]
    out = tmp_path / "figures"
    out.mkdir()
    texts = [row_texts(found, None) for found in comparison.genes]
    said = write_figures(out, comparison, [], texts, "_1")
    names = ("attainment", "front", "genes", "hypervolume", "surrogate", "times")
    assert sorted(said) == [f"{name}_1.pdf, .png" for name in names]
    for name in names:
        pdf = (out / f"{name}_1.pdf").read_bytes()
        assert pdf.startswith(b"%PDF-") and b"/FontFile2" in pdf and b"/Type3" not in pdf  # embedded TrueType
        with Image.open(out / f"{name}_1.png") as image:
            assert image.info["dpi"][0] == pytest.approx(300, abs=1) and image.size[0] > 900
            if name == "hypervolume":
                pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
                for colour in COLOURS[:2]:
                    wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
                    assert np.sum(np.all(pixels == wanted, axis=1)) > 200


def test_many_groups_look_different():
    assert len({look(group)[:2] for group in range(32)}) == 32


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Eighteen groups of one run, and cascades that cost a thousand times as much."""
    folder = tmp_path_factory.mktemp("many")
    runs = [
        made_run(folder / str(n), settings=SETTINGS | {"threads": n}, shift=n, objectives=3, steps=2) for n in range(18)
    ]
    return compare_runs(runs, None, None)[0]


def test_every_line_of_every_figure_can_be_told_from_the_others(many):
    for figure in (_attainment(many), _fronts(many), _hypervolume(many), _quality(many)):
        assert covers_no_axes(figure)
        lines, _ = figure.axes[0].get_legend_handles_labels()
        assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(lines) == 18
        assert [text.get_text() for text in figure.legends[0].get_texts()] == [group.label for group in many.groups]


def test_axes_are_labelled_in_words(many):
    labels = [(axes.get_xlabel(), axes.get_ylabel()) for axes in _fronts(many).axes]
    assert labels == [("FLOPs (M)", "top-1 error (%)"), ("params (M)", "top-1 error (%)")]


def test_genes_have_the_values_that_they_stand_for_beside_them(many):
    found = many.genes[0]
    texts = [[f"{gene}{row}" for row in range(len(shares))] for gene, shares in zip("dkw", found.shares, strict=True)]
    figure = _genes(many, [texts] * len(many.groups))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels(minor=True)]
    assert labels == [text for rows in texts for text in reversed(rows)]
    FigureCanvasAgg(figure).draw()
    assert {label.get_fontsize() for label in figure.axes[0].get_yticklabels(minor=True)} == {4}


def test_costs_on_another_scale_get_axes_of_their_own(tmp_path):
    runs = [made_run(tmp_path / name, settings=settings) for name, settings in {"m": SETTINGS, "r": RANDOM}.items()]
    dear = made_run(tmp_path / "d", settings=SETTINGS | {"threads": 1})
    dear.record.objectives[:, 1] *= 1000
    comparison = compare_runs([*runs, dear], None, None)[0]
    places = {group.label: place for place, group in enumerate(comparison.groups)}
    alone = places[next(label for label in places if label == "MSuNAS, threads=1")]
    assert sorted(hypervolume_panels(comparison)) == sorted([[p for p in range(3) if p != alone], [alone]])
    figure = _hypervolume(comparison)
    assert len(figure.axes) == 2 and covers_no_axes(figure)
    low, high = figure.axes[0].get_ylim(), figure.axes[1].get_ylim()
    assert low[0] > high[1] or high[0] > low[1]
    assert hypervolume_panels(compare_runs(runs, None, None)[0]) == [[0, 1]]


def test_long_names_in_legends_are_wrapped():
    figure = Figure(figsize=SINGLE, layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], label="a name " * 20)
    add_legend(figure, axes)
    assert covers_no_axes(figure)
    assert figure.legends[0].get_window_extent().width <= figure.bbox.width
