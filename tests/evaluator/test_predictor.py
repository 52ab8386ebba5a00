from pathlib import Path

import numpy as np
import pytest
import torch
from ofa.tutorial.accuracy_predictor import AccuracyPredictor

from nas.errors import UserError
from nas.evaluator.predictor import PredictorEvaluator
from nas.space.ofa import OfaSpace
from nas.space.table import AdditiveTable

SHARED = Path(__file__).parents[3] / "shared" / "data" / "ofa_mbv3_acc_predictor.pth"


def make_space(**changes):
    settings = {
        "n_stages": 5,
        "depths": (2, 3, 4),
        "kernel_sizes": (3, 5, 7),
        "expand_ratios": (3, 4, 6),
        "resolutions": (112, 160, 208, 224),
        "widths": (1.2,),
    }
    return OfaSpace(**(settings | changes))


@pytest.fixture
def package(tmp_path):
    """The package's predictor with random weights, and the file that holds them."""
    predictor = AccuracyPredictor(pretrained=False, device="cpu")
    torch.save(predictor.model.state_dict(), tmp_path / "predictor.pth")
    return predictor, tmp_path / "predictor.pth"


def evaluator(space, checkpoint, cache):
    table = AdditiveTable(space.n_genes, [((0,), np.array([1, 2, 3]) * 10**6)])
    return PredictorEvaluator(
        space=space, tables={"macs": table, "params": table}, cache=cache, checkpoint=str(checkpoint)
    )


def padded(config):
    """An architecture as the package's predictor wants it: four layers of each stage."""
    kernels, expands, layer = [], [], 0
    for depth in config["d"]:
        kernels += [*config["ks"][layer : layer + depth], *[3] * (4 - depth)]
        expands += [*config["e"][layer : layer + depth], *[3] * (4 - depth)]
        layer += depth
    return {"ks": kernels, "e": expands, "d": list(config["d"]), "r": [config["r"]]}


def test_equals_the_package(package, tmp_path):
    predictor, path = package
    space = make_space()
    genomes = space.sample(50, np.random.default_rng(0))
    expected = predictor.predict_accuracy([padded(space.decode(genome).config) for genome in genomes])[:, 0]
    found = evaluator(space, path, tmp_path).measure(genomes, "validation")
    np.testing.assert_allclose([metrics["top1"] for metrics in found], 100 * expected.numpy(), rtol=1e-5)
    assert [metrics["flops"] for metrics in found] == (genomes[:, 0] + 1).tolist()


@pytest.mark.skipif(not SHARED.exists(), reason="the published predictor is not there")
def test_published_predictor_is_plausible(tmp_path):
    space = make_space()
    ends = np.stack([space.smallest, space.largest])
    low, high = (metrics["top1"] for metrics in evaluator(space, SHARED, tmp_path).measure(ends, "validation"))
    assert 70 < low < 78 < 80 < high < 90


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_stages": 3}, "use supernet=ofa_w12 or ofa_w10"),
        ({"resolutions": (192, 196)}, r"does not know supernet\.resolutions 196; choices are 112, 128"),
    ],
)
def test_other_spaces_are_refused(changes, message, package, tmp_path):
    with pytest.raises(UserError, match=message):
        evaluator(make_space(**changes), package[1], tmp_path)


def test_other_files_are_refused(package, tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="is not OFA's accuracy predictor"):
        evaluator(make_space(), tmp_path / "other.pth", tmp_path)
    with pytest.raises(UserError, match=r"evaluator\.checkpoint=random predicts nothing"):
        evaluator(make_space(), "random", tmp_path)
