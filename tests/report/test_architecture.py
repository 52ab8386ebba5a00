import numpy as np
import pytest
from PIL import Image

from nas.report.architecture import architecture_figure, layers_of
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
