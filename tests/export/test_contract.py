"""What every format must do with networks and cascades."""

import numpy as np
import pytest

from nas.cascade.module import Cascade, GapCascade
from nas.export.base import Format
from nas.export.check import original
from nas.export.onnx import Onnx
from nas.export.torch_export import TorchExport
from nas.export.torchscript import TorchScript
from tests.export.networks import (
    CLASSES,
    CROPS,
    KINDS,
    SIDES,
    WHOLE,
    check_same,
    images,
    kinds,
    small_cascade,
    small_prepared,
    source,
)

pytestmark = pytest.mark.parametrize(
    "form", [Onnx(), TorchExport(), TorchScript()], ids=lambda form: type(form).__name__
)


def test_a_network_alone(form: Format, tmp_path):
    """Normalised images of its size go in; their number is free, their sides are not."""
    network, path = small_prepared().network, tmp_path / f"model.{form.ending}"
    form.write(source(form, network, images(3, 6, 6)), path)
    check_same(network, form.read(path, 1), [images(n, 6, 6) for n in (1, 2, 9)])


@pytest.mark.long
@pytest.mark.parametrize("crop", CROPS, ids=["whole", "centre", "timm"])
def test_a_network_behind_preprocessing(form: Format, crop, tmp_path):
    """In batches of 1 and more, of other heights and widths."""
    network, path = small_prepared(crop=crop), tmp_path / f"model.{form.ending}"
    form.write(source(form, network), path)
    check_same(network, form.read(path, 1), [images(n, *sides) for sides in SIDES for n in (1, 5)])


@pytest.mark.long
@pytest.mark.parametrize(("kind", "crops"), [(Cascade, WHOLE), (GapCascade, WHOLE), (Cascade, CROPS)])
def test_a_cascade(form: Format, kind, crops, tmp_path):
    """In batches of 1, of none, and of more; some of 40 images stop at each stage."""
    cascade, path = small_cascade(kind, crops=crops), tmp_path / f"model.{form.ending}"
    form.write(source(form, cascade), path)
    run = form.read(path, 1)
    many = images(40)
    stages = original(cascade)(many)["stages"]
    assert set(stages.tolist()) == set(range(len(cascade.networks)))
    alone = [many[int(np.argmax(stages == stage))][None] for stage in range(len(cascade.networks))]
    others = [images(7, 9, 13)] if form.free_sides(cascade) else []
    check_same(cascade, run, [many, *alone, many[:3], *others])
    empty = run(many[:0])
    assert [value.shape for value in empty.values()] == [(0, CLASSES), (0,), (0,), (0,)]


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_network(form: Format, kind, tmp_path):
    network, batch = kinds(kind, tmp_path)
    path = tmp_path / f"model.{form.ending}"
    form.write(source(form, network, batch), path)
    check_same(network, form.read(path, 1), [batch, batch[:1]], tolerance=1e-3)
