import json

import pytest
import torch
from torch import nn

from nas.errors import RunError
from nas.evaluator.cascade_module import Cascade, GapCascade
from nas.export.torchscript import ABOUT, TorchScript
from tests.export.networks import (
    CROPS,
    KINDS,
    WHOLE,
    check_cascade,
    check_network,
    check_same,
    check_stages,
    convolved_by_torch,
    images,
    kinds,
    small_cascade,
    small_prepared,
    source,
)

DEPRECATION = (DeprecationWarning, FutureWarning)


@pytest.mark.parametrize("crop", CROPS, ids=["whole", "centre", "timm"])
@pytest.mark.long
def test_a_network_behind_preprocessing(crop, tmp_path):
    check_network(TorchScript(), tmp_path, small_prepared(crop=crop))


def test_a_network_alone(tmp_path):
    """Normalised images of its size go in; their number is free, their sides are not."""
    network, path = small_prepared().network, tmp_path / "m.torchscript"
    TorchScript().write(source(TorchScript(), network, images(3, 6, 6)), path)
    check_same(network, TorchScript().read(path, 1), [images(n, 6, 6) for n in (1, 2, 9)])


@pytest.mark.parametrize(("kind", "crops"), [(Cascade, WHOLE), (GapCascade, WHOLE), (Cascade, CROPS)])
@pytest.mark.long
def test_a_cascade(kind, crops, tmp_path):
    check_cascade(TorchScript(), tmp_path, small_cascade(kind, crops=crops))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.long
def test_every_kind_of_network(kind, tmp_path):
    network, batch = kinds(kind, tmp_path)
    TorchScript().write(source(TorchScript(), network, batch), tmp_path / "m.torchscript")
    check_same(network, TorchScript().read(tmp_path / "m.torchscript", 1), [batch, batch[:1]], tolerance=1e-3)


@pytest.mark.parametrize(("limits", "go_on"), [(None, True), ((0.0, 0.0), False)])
@pytest.mark.long
def test_stages_run_for_the_images_that_reach_them(limits, go_on, tmp_path):
    cascade, path = small_cascade(Cascade, limits, crops=WHOLE), tmp_path / "m.torchscript"
    TorchScript().write(source(TorchScript(), cascade), path)
    check_stages(TorchScript().read(path, 1), cascade, convolved_by_torch, go_on)


def test_it_says_what_it_is(tmp_path):
    path = tmp_path / "m.torchscript"
    TorchScript().write(source(TorchScript(), small_prepared()), path)
    extra = {ABOUT: ""}
    with pytest.warns(DEPRECATION, match=r"torch\.jit\.load"):
        torch.jit.load(path, _extra_files=extra)
    assert json.loads(extra[ABOUT]) == {"description": "a test", "a": "1"}


class Undecided(nn.Module):
    def forward(self, images):
        return {"a": images}.get("b")


def test_what_it_cannot_express_is_said(tmp_path):
    with pytest.raises(RunError, match="TorchScript cannot express the network: "):
        TorchScript().write(source(TorchScript(), Undecided()), tmp_path / "m.torchscript")
    assert list(tmp_path.iterdir()) == []
