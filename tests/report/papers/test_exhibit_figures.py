from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

from nas.plotting.style import printed_style
from nas.report.data.comparison import compare_runs
from nas.report.data.runs import find_runs, read_run
from nas.report.papers.exhibit_figures import _figures, spread_over_seeds, write_exhibits
from nas.report.papers.published import published_methods
from tests.report.made import covers_no_axes, made_run
from tests.report.made_papers import write_papers
from tests.report.papers.test_published import on


@pytest.mark.slow
def test_figures_for_print_and_for_the_page(tmp_path):
    folder = write_papers(tmp_path / "runs", seeds=2)
    places = [str(folder / name) for name in ("alphanet", "frozen", "greedy", "encas_1", "encas_5", "joint_5nets")]
    comparison = compare_runs([read_run(str(path), path) for path in find_runs(places)], None, None)[0]
    out = tmp_path / "figures"
    out.mkdir()
    said, drawn = write_exhibits(out, comparison, (), "_1")
    names = ("cascades", "joint", "frozen", "impact")
    assert list(said) == [f"papers_{name}_1.pdf, .png" for name in names]
    for name, one in zip(names, drawn, strict=True):
        pdf = (out / f"papers_{name}_1.pdf").read_bytes()
        assert pdf.startswith(b"%PDF-") and b"/FontFile2" in pdf and b"/Type3" not in pdf
        with Image.open(out / f"papers_{name}_1.png") as image:
            assert image.info["dpi"][0] == pytest.approx(300, abs=1)
            assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 50
        kind, _, text = one.address.partition(",")
        assert kind == "data:image/svg+xml;base64" and b"<svg" in b64decode(text) and b"<script" not in b64decode(text)


def test_published_networks_are_drawn(tmp_path):
    comparison = compare_runs([made_run(tmp_path / "m", settings=on("imagenet"))], None, None)[0]
    said, drawn = write_exhibits(tmp_path, comparison, published_methods(), "")
    assert list(said) == ["papers_published.pdf, .png"]
    without, _ = write_exhibits(tmp_path, comparison, (), "")
    assert without == {} and b"AttentiveNAS" in b64decode(drawn[0].address.partition(",")[2])


def test_legends_are_beside_what_is_drawn(tmp_path):
    folder = write_papers(tmp_path / "runs", seeds=1)
    comparison = compare_runs([read_run(str(path), path) for path in find_runs([str(folder)])], None, None)[0]
    with printed_style():
        figures = {name: figure for name, _, figure in _figures(comparison, ())}
        assert all(covers_no_axes(figure) for figure in figures.values())
    said = [text.get_text() for text in figures["papers_supernets"].legends[0].get_texts()]
    assert said[0] == "NAT, AlphaNet" and not any(text.endswith(":") for text in said) and len(set(said)) == 5
    assert figures["papers_impact"].axes[0].get_xlabel() == "number of supernets"


def test_spread_over_seeds_is_the_lowest_error_within_each_cost():
    fronts = [np.array([[9.0, 1.0], [5.0, 3.0]]), np.array([[8.0, 2.0], [6.0, 4.0]])]
    costs, least, most = spread_over_seeds(fronts)
    assert costs.tolist() == [2, 3, 4]
    assert least.tolist() == [8, 5, 5] and most.tolist() == [9, 8, 6]
