import json
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from nas.cascade.module import Cascade
from nas.errors import RunError
from nas.export.onnx import Onnx
from tests.export.networks import (
    WHOLE,
    check_stages,
    small_cascade,
    small_prepared,
    source,
)

ROOT = Path(__file__).parents[2]


def convolved(path, batch):
    """Return images and output channels of each convolution, as onnxruntime's profiler saw them."""
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(path.with_suffix(""))
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    session.run(None, {"images": batch})
    events = json.loads(Path(session.end_profiling()).read_text())
    convolutions = [event["args"] for event in events if event.get("args", {}).get("op_name") == "Conv"]
    shapes = [[next(iter(each.values())) for each in args["input_type_shape"]] for args in convolutions]
    return [(inputs[0][0], inputs[1][0]) for inputs in shapes]


@pytest.mark.parametrize(("limits", "go_on"), [(None, True), ((0.0, 0.0), False)])
@pytest.mark.long
def test_stages_run_for_the_images_that_reach_them(limits, go_on, tmp_path):
    cascade, path = small_cascade(Cascade, limits, crops=WHOLE), tmp_path / "m.onnx"
    Onnx().write(source(Onnx(), cascade), path)
    check_stages(path, cascade, convolved, go_on)


@pytest.mark.long
def test_sizes_have_names_and_the_file_says_what_it_is(tmp_path):
    Onnx().write(source(Onnx(), small_prepared()), tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    (given,), (returned,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape, given.type) == ("images", ["batch", 3, "height", "width"], "tensor(float)")
    assert (returned.name, returned.shape) == ("logits", ["batch", 4])
    assert session.get_modelmeta().custom_metadata_map == {"description": "a test", "a": "1"}
    assert session.get_modelmeta().description == "a test"
    assert str(ROOT).encode() not in (tmp_path / "m.onnx").read_bytes()


@pytest.mark.long
def test_a_cascades_branches_hold_nothing_that_is_not_used(tmp_path, capfd):
    """Of which onnxruntime would warn its users."""
    Onnx().write(source(Onnx(), small_cascade(Cascade, (0.5, 0.5), crops=WHOLE)), tmp_path / "m.onnx")
    onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    assert capfd.readouterr() == ("", "")
    operators = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert operators.count("If") == 2


class Undecided(nn.Module):
    def forward(self, images):
        return torch.linalg.eigvals(images[:, :, :3, :3]).real


def test_what_it_cannot_express_is_said(tmp_path):
    with pytest.raises(RunError, match="ONNX cannot express the network: "):
        Onnx().write(source(Onnx(), Undecided()), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []
