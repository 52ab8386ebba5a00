from collections import OrderedDict
from io import BytesIO

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg as Canvas
from matplotlib.text import Text
from PIL import Image
from torch import nn

from nas.plotting import architecture
from nas.plotting.architecture import architecture_figure, layers_of
from tests.small import tiny


@pytest.fixture
def supernet():
    return tiny()


def test_layers_are_those_of_the_architecture_and_their_costs_add_up(supernet):
    genome = supernet.space.sample(1, np.random.default_rng(0))
    architecture = supernet.space.decode(genome[0])
    layers = layers_of(supernet.extract(architecture), architecture.config["r"])
    blocks = [layer for layer in layers if layer.expansion]
    assert [layer.kernel for layer in blocks] == architecture.config["ks"]
    assert [layer.expansion for layer in blocks] == architecture.config["e"]
    assert sum(layer.macs for layer in layers) == supernet.costs()["macs"](genome)[0]
    assert layers[0].side == architecture.config["r"] // layers[0].stride


def test_a_plain_convolution_has_no_expansion():
    network = nn.Sequential(
        OrderedDict(
            stem=nn.Conv2d(3, 16, 3),
            mix=nn.Sequential(nn.Conv2d(16, 8, 1)),
            blocks=nn.Sequential(
                nn.Sequential(nn.Conv2d(8, 24, 1), nn.Conv2d(24, 24, 3, groups=24), nn.Conv2d(24, 8, 1))
            ),
        )
    )
    found = [(layer.name, layer.expansion) for layer in layers_of(network, 16)]
    assert found == [("stem", 0), ("mix", 0), ("blocks.0", 3)]


@pytest.mark.parametrize("title", ["short", "a supernet: 123.4 M FLOPs, 5.67 M parameters, " * 4])
def test_titles_are_above_everything_else(title, supernet, monkeypatch, tmp_path):
    figures = []
    monkeypatch.setattr(architecture, "write_atomic", lambda path, write: write(BytesIO()))
    monkeypatch.setattr(architecture, "FigureCanvasAgg", lambda figure: figures.append(figure) or Canvas(figure))
    layers = layers_of(supernet.extract(supernet.space.decode(supernet.space.largest)), 16)
    architecture_figure(tmp_path / "a.png", title=title, resolution=16, layers=layers)
    figure = figures[0]
    renderer = figure.canvas.get_renderer()
    head = figure.texts[0].get_window_extent(renderer)
    others = [text for text in figure.axes[0].findobj(Text) if text.get_text()]
    assert len(others) > 5 and head.x1 <= figure.bbox.x1
    assert not any(head.overlaps(text.get_window_extent(renderer)) for text in others)


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_picture(kind, supernet, tmp_path):
    architecture = supernet.space.decode(supernet.space.largest)
    layers = layers_of(supernet.extract(architecture), architecture.config["r"])
    path = tmp_path / f"arch.{kind}"
    architecture_figure(path, title="the largest", resolution=architecture.config["r"], layers=layers)
    if kind == "png":
        with Image.open(path) as image:
            assert image.size[0] > 900
            assert len(image.convert("RGB").getcolors(2**20)) > 50
    else:
        assert path.read_bytes()[:5] == {"svg": b"<?xml", "pdf": b"%PDF-"}[kind]
