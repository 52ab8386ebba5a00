import json
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from nas.cascade.module import Cascade
from nas.errors import RunError
from nas.export.torch_export import ABOUT, TorchExport
from tests.export.networks import (
    WHOLE,
    check_stages,
    convolved_by_torch,
    small_cascade,
    small_prepared,
    source,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("limits", "go_on"), [(None, True), ((0.0, 0.0), False)])
@pytest.mark.long
def test_stages_run_for_the_images_that_reach_them(limits, go_on, tmp_path):
    cascade, path = small_cascade(Cascade, limits, crops=WHOLE), tmp_path / "m.pt2"
    TorchExport().write(source(TorchExport(), cascade), path)
    check_stages(TorchExport().read(path, 1), cascade, convolved_by_torch, go_on)


@pytest.mark.long
def test_it_says_what_it_is_and_nothing_of_the_machine(tmp_path):
    path = tmp_path / "m.pt2"
    TorchExport().write(source(TorchExport(), small_prepared()), path)
    extra = {ABOUT: ""}
    torch.export.load(path, extra_files=extra)
    assert json.loads(extra[ABOUT]) == {"description": "a test", "a": "1"}
    with zipfile.ZipFile(path) as archive:
        assert not any(str(ROOT).encode() in archive.read(name) for name in archive.namelist())


class Undecided(nn.Module):
    def forward(self, images):
        return images if images.sum() > 0 else -images


def test_what_it_cannot_express_is_said(tmp_path):
    with pytest.raises(RunError, match=r"torch\.export .* cannot follow the network: "):
        TorchExport().write(source(TorchExport(), Undecided()), tmp_path / "m.pt2")
    assert list(tmp_path.iterdir()) == []
