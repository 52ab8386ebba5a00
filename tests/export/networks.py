"""Networks and cascades to export, and what every format must do with them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nas.cascade.module import Cascade, GapCascade, confidences, first_values, later_values
from nas.export.base import Format, Images, Source
from nas.export.check import original
from nas.pool.prepared import Crop, Prepared
from nas.pool.timm_models import make_model, prepared
from nas.supernet.base import Supernet
from nas.supernet.nat import Nat
from nas.supernet.ofa_mobilenet import OfaMobileNet
from nas.supernet.ofa_resnet50 import OfaResnet50
from nas.supernet.proxyless import Proxyless
from tests.ofa_networks import SETTINGS, scramble
from tests.small import tiny
from tests.supernet.test_attentivenas import small

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
CLASSES = 4
CROPS: tuple[Crop | float, ...] = (1.0, 0.875, Crop("bicubic", 9))
KINDS = [
    *("tiny", "attentivenas", "ofa_w10"),
    *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("nat", "proxyless", "ofa_resnet50", "timm")),
]
WHOLE = (1.0, 1.0, 1.0)
SIDES = ((8, 8), (13, 9), (6, 6), (9, 20))
"""Heights and widths: those of the example, and others, among them the network's own."""


def small_network(channels: int, seed: int, kernel: int = 3) -> nn.Module:
    """Return a network that is quick to export and whose answers differ from image to image."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, channels, kernel, padding=kernel // 2),
        nn.BatchNorm2d(channels),
        nn.Hardswish(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, CLASSES),
    )
    scramble(network, seed)
    return network.eval()


def small_prepared(seed: int = 0, crop: Crop | float = 1.0, channels: int = 8) -> Prepared:
    return Prepared(small_network(channels, seed), mean=MEAN, std=STD, resolution=6, crop=crop).eval()


def small_cascade(
    kind: type[Cascade] | type[GapCascade], limits: Sequence[float] | None = None, crops: Any = CROPS
) -> Any:
    """Return a cascade of three networks, which convolve to 8, 16 and 24 channels.

    Without limits it has some of which each stage answers some of 40 images.
    """
    networks = [small_prepared(seed, crops[seed], channels=8 * (seed + 1)) for seed in range(3)]
    costs = [10.0, 20.0, 30.0]
    return kind(networks, limits or _dividing(networks, kind is Cascade), costs).eval()


@torch.no_grad()
def _dividing(networks: Sequence[nn.Module], averaging: bool) -> list[float]:
    """Return limits that half of the 40 images, and of those that are left, exceed."""
    batch = torch.from_numpy(images(40))
    values = first_values(networks[0](batch), averaging)
    first = confidences(values, averaging)
    values = later_values(values, networks[1](batch), 1, averaging)
    second = confidences(values, averaging)[first <= np.median(first)]
    return [float(np.median(first)), float(np.median(second))]


def images(n: int, height: int = 8, width: int = 8) -> Images:
    return np.random.default_rng([n, height, width]).random((n, 3, height, width), dtype=np.float32)


def source(form: Format, network: nn.Module, example: Images | None = None) -> Source:
    batch = images(3) if example is None else example
    return Source(network, batch, form.free_sides(network), {"description": "a test", "a": "1"})


def check_same(network: nn.Module, run: Any, batches: Sequence[Images], tolerance: float = 1e-4) -> None:
    """Check that a file returns what the network does."""
    for batch in batches:
        expected, found = original(network)(batch), run(batch)
        assert list(found) == list(expected)
        for name in expected:
            assert found[name].dtype == expected[name].dtype and found[name].shape == expected[name].shape
            scale = max(1.0, float(np.abs(expected[name]).max()))
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=tolerance * scale)


def kinds(name: str, folder: Path) -> tuple[nn.Module, Images]:
    """Return a network of a kind of supernet behind preprocessing, with random weights, and images."""
    if name == "timm":
        network = prepared(make_model("resnet10t", "random", 0, CLASSES, 32), 32).eval()
        return network, images(3, 40, 48)
    made: dict[str, Any] = {
        "tiny": tiny,
        "attentivenas": lambda: small(folder),
        "ofa_w10": lambda: OfaMobileNet(**SETTINGS, width=1.0),
        "nat": lambda: Nat(**SETTINGS),
        "proxyless": lambda: Proxyless(**SETTINGS, last_kernel_sizes=(3, 5, 7), last_expand_ratios=(3, 4, 6)),
        "ofa_resnet50": lambda: OfaResnet50(**SETTINGS),
    }
    supernet: Supernet = made[name]()
    scramble(supernet.module)
    architecture = supernet.space.decode(supernet.space.smallest)
    side = architecture.config["r"]
    network = Prepared(supernet.extract(architecture), mean=MEAN, std=STD, resolution=side, crop=1.0)
    return network.eval(), images(3, side + 3, side)


def check_stages(run: Any, cascade: Cascade, convolved: Any, go_on: bool) -> None:
    """Check by what a profiler saw that each network gets the images that reach it, and none where there are none.

    Args:
        run: of the file.
        cascade: that it is of.
        convolved: runs a file and returns images and output channels of each convolution.
        go_on: whether some images of the batch get to the last stage; else all stop at the first one.
    """
    batch = images(40)
    stages = original(cascade)(batch)["stages"]
    assert bool(stages.any()) == go_on
    reached = [(int((stages >= stage).sum()), 8 * (stage + 1)) for stage in range(3)]
    assert convolved(run, batch) == [each for each in reached if each[0]]


def convolved_by_torch(run: Any, batch: Images) -> list[tuple[int, int]]:
    """Return images and output channels of each convolution, as torch's profiler saw them."""
    with torch.autograd.profiler.profile(record_shapes=True, use_kineto=False) as profiler:
        run(batch)
    events = [event for event in profiler.function_events if event.name == "aten::_convolution"]
    return [(event.input_shapes[0][0], event.input_shapes[1][0]) for event in events]
