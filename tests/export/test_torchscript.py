import json

import pytest
import torch
from torch import nn

from nas.cascade.module import Cascade
from nas.errors import RunError
from nas.export.torchscript import ABOUT, TorchScript
from tests.export.networks import (
    WHOLE,
    check_stages,
    convolved_by_torch,
    small_cascade,
    small_prepared,
    source,
)

DEPRECATION = (DeprecationWarning, FutureWarning)


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
