import math
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from nas.dataset.base import Augmentation, Images
from nas.errors import UserError
from nas.evaluator.subnet import SubnetEvaluator
from nas.objective.base import Measurement
from nas.objective.cost import TableCost
from nas.supernet.tiny import Tiny
from nas.types import Architecture, Measure
from tests.small import Bars, tiny


def evaluator(supernet: Tiny, dataset: Bars | None = None, **changes: Any) -> SubnetEvaluator:
    settings: dict[str, Any] = {
        "objectives": [],
        "batch_size": 20,
        "at_once": 3,
        "amp": True,
        "crop": 1.0,
        "recalibration_images": 24,
        "recalibration_batch_size": 8,
        "recalibration_augmented": False,
        "cache_mib": 16,
        "tuning": None,
        "seed": 0,
    }
    return SubnetEvaluator(supernet=supernet, dataset=dataset or Bars(), device="cpu", **(settings | changes))


def measured(subject: SubnetEvaluator, architecture: Architecture, split: str) -> Mapping[str, float]:
    (metrics,) = subject([architecture], split)
    return metrics


def test_metrics_are_those_of_the_extracted_network() -> None:
    supernet, dataset = tiny(resolutions=(8,)), Bars()
    architecture = supernet.space.decode(supernet.space.largest)
    metrics = measured(evaluator(supernet, dataset, recalibration_images=0), architecture, "validation")
    images = dataset.split("validation")
    mean, std = (np.array(v, dtype=np.float32).reshape(3, 1, 1) for v in (dataset.mean, dataset.std))
    labels = torch.from_numpy(images.labels)
    network = supernet.extract(architecture)
    with torch.no_grad():
        logits = network(torch.from_numpy((images.pixels.astype(np.float32) / 255 - mean) / std))
    assert metrics["top1"] == pytest.approx(100 * (logits.argmax(1) == labels).float().mean().item())
    assert metrics["loss"] == pytest.approx(cross_entropy(logits, labels).item(), rel=1e-4)
    assert metrics["top5"] == 100.0  # of four classes
    assert metrics["params"] == sum(p.numel() for p in network.parameters()) / 1e6
    assert metrics["flops"] == int(supernet.costs()["macs"](supernet.space.largest[None])[0]) / 1e6
    assert set(metrics) == {"top1", "top5", "loss", "flops", "params"}


class Doubled(Measurement):
    """Twice the resolution, and whether the network is ready to be measured."""

    measure = Measure("doubled", "pixels")

    def of(self, network: nn.Module, resolution: int) -> float:
        assert not network.training
        return 2 * resolution


def test_what_objectives_measure_is_a_metric() -> None:
    supernet = tiny(resolutions=(8,))
    objectives = [TableCost(cost="flops", tables=supernet.costs()), Doubled()]
    architecture = supernet.space.decode(supernet.space.smallest)
    plain, whole = (
        measured(evaluator(supernet, objectives=some), architecture, "validation") for some in ([], objectives)
    )
    assert whole == plain | {"doubled": 16}


def test_top5_counts_five_of_ten_classes() -> None:
    supernet = tiny(n_classes=10, resolutions=(24, 28, 32), stem_stride=2)
    space, dataset = supernet.space, Bars(side=32)
    architecture = space.decode(space.sample(1, np.random.default_rng(0))[0])
    metrics = measured(evaluator(supernet, dataset), architecture, "test")
    assert 0 <= metrics["top1"] <= metrics["top5"] < 100
    assert math.isfinite(metrics["loss"])


class Middle(Bars):
    """The middle of the images."""

    def split(self, name: str) -> Images:
        images = super().split(name)
        return Images(images.pixels[:, :, 1:7, 1:7], images.labels)


def test_networks_see_the_centre_where_that_is_asked_for() -> None:
    supernet = tiny()
    architecture = supernet.space.decode(supernet.space.largest)
    cropped = measured(evaluator(supernet, crop=0.75), architecture, "test")
    assert cropped == measured(evaluator(supernet, Middle()), architecture, "test")
    assert cropped["loss"] != measured(evaluator(supernet), architecture, "test")["loss"]


def test_statistics_of_augmented_images_are_the_same_each_time() -> None:
    supernet, dataset = tiny(), Bars(augmentation=Augmentation(shift=0.3, flip=False, cutout=0.0, crop=0.5, cutmix=1.0))
    first, second = (supernet.space.decode(g) for g in supernet.space.sample(2, np.random.default_rng(0)))
    augmented: dict[str, Any] = {"recalibration_augmented": True}
    shared = evaluator(supernet, dataset, **augmented)
    results = [measured(shared, each, "test") for each in (first, second, first)]
    assert results[0] == results[2] != measured(evaluator(supernet, dataset), first, "test")
    assert results[1] == measured(evaluator(supernet, dataset, **augmented, cache_mib=0), second, "test")
    unchanged = Bars(augmentation=Augmentation(shift=0.0, flip=False, cutout=0.0))
    left = measured(evaluator(supernet, unchanged, **augmented, recalibration_batch_size=24), first, "test")
    plain = measured(evaluator(supernet, unchanged, recalibration_batch_size=24), first, "test")
    assert left["loss"] == pytest.approx(plain["loss"], rel=1e-4)


def test_results_do_not_depend_on_earlier_evaluations() -> None:
    supernet = tiny()
    first, second = (supernet.space.decode(g) for g in supernet.space.sample(2, np.random.default_rng(0)))
    shared = evaluator(supernet)
    before = {name: tensor.clone() for name, tensor in supernet.module.state_dict().items()}
    results = [measured(shared, architecture, "validation") for architecture in (first, second, first)]
    assert results[0] == results[2] == measured(evaluator(supernet), first, "validation")
    assert results[1] == measured(evaluator(supernet), second, "validation")
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.module.state_dict().items())


def test_recalibration_replaces_wrong_statistics() -> None:
    supernet, other = tiny(), tiny()
    for name, buffer in other.module.named_buffers():
        if name.endswith("running_mean"):
            buffer.add_(3.0)
    architecture = supernet.space.decode(supernet.space.largest)
    right = measured(evaluator(supernet), architecture, "validation")
    assert measured(evaluator(other), architecture, "validation") == right
    assert measured(evaluator(other, recalibration_images=0), architecture, "validation")["loss"] != right["loss"]
    assert measured(evaluator(supernet, seed=1), architecture, "validation")["loss"] != right["loss"]


def test_more_images_than_there_are_means_all() -> None:
    supernet = tiny()
    architecture = supernet.space.decode(supernet.space.smallest)
    many = measured(evaluator(supernet, recalibration_images=1000), architecture, "test")
    assert many == measured(evaluator(supernet, recalibration_images=48), architecture, "test")


def test_splits_differ() -> None:
    supernet = tiny()
    architecture = supernet.space.decode(supernet.space.largest)
    shared = evaluator(supernet)
    assert measured(shared, architecture, "validation")["loss"] != measured(shared, architecture, "test")["loss"]


def test_outputs_that_are_not_finite_show_in_the_loss() -> None:
    supernet = tiny()
    with torch.no_grad():
        supernet.module.get_parameter("classifier.bias").fill_(math.nan)
    assert math.isnan(
        measured(evaluator(supernet), supernet.space.decode(supernet.space.smallest), "validation")["loss"]
    )


def test_it_can_be_sent_to_another_process() -> None:
    supernet = tiny()
    architecture = supernet.space.decode(supernet.space.smallest)
    here = evaluator(supernet)
    there = pickle.loads(pickle.dumps(here))
    assert measured(there, architecture, "validation") == measured(here, architecture, "validation")


@pytest.mark.parametrize("changes", [{"recalibration_images": 1}, {"recalibration_batch_size": 1}])
def test_statistics_of_one_image_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(UserError, match="2 or more"):
        evaluator(tiny(), **changes)


def test_architectures_of_one_resolution_are_evaluated_together_and_alone_alike() -> None:
    supernet = tiny()
    architectures = [supernet.space.decode(g) for g in supernet.space.sample(9, np.random.default_rng(1))]
    subject = evaluator(supernet)
    groups = subject.groups(architectures)
    assert sorted(index for group in groups for index in group) == list(range(9))
    assert max(map(len, groups)) > 1
    for group in groups:
        assert len({architectures[index].config["r"] for index in group}) == 1
        assert len(group) <= 3
    assert subject(architectures, "test") == [measured(subject, each, "test") for each in architectures]


def test_logits_are_what_metrics_are_computed_from() -> None:
    supernet = tiny()
    architecture = supernet.space.decode(supernet.space.largest)
    logits = evaluator(supernet).logits(architecture, "test")
    labels = torch.from_numpy(Bars().split("test").labels)
    metrics = measured(evaluator(supernet), architecture, "test")
    assert metrics["top1"] == pytest.approx(100 * (logits.argmax(1) == labels).float().mean().item())
    assert metrics["loss"] == pytest.approx(cross_entropy(logits, labels).item(), rel=1e-5)
