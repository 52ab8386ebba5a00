"""Three small supernets that are searched together."""

from typing import Any

import numpy as np

from nas.cascade.joint_evaluator import JointEvaluator
from nas.evaluator.subnet import SubnetEvaluator
from nas.supernet.joint import JointSupernet
from tests.small import Bars, tiny

MEMBERS: dict[str, dict[str, Any]] = {
    "thin": {"depths": (1, 2), "stage_widths": (8, 8, 12), "kernel_sizes": (3, 5), "seed": 1},
    "plain": {"depths": (1,), "squeeze_excite": (False, False, False), "widths": (0.5, 1.0), "seed": 2},
    "wide": {"depths": (1, 2), "stage_widths": (8, 16, 24), "kernel_sizes": (3,), "expand_ratios": (1, 2), "seed": 3},
}


def member(name: str, n_classes: int) -> Any:
    return tiny(n_classes=n_classes, **MEMBERS[name])


def several(*names: str) -> JointSupernet:
    return JointSupernet(members={name: member(name, 4) for name in names or MEMBERS})


def evaluator(supernet: JointSupernet, dataset: Bars | None = None, **changes: Any) -> JointEvaluator:
    images = dataset or Bars()
    networks = SubnetEvaluator(
        supernet=supernet,
        objectives=(),
        dataset=images,
        device="cpu",
        batch_size=20,
        at_once=3,
        amp=True,
        crop=1.0,
        recalibration_images=24,
        recalibration_batch_size=8,
        recalibration_augmented=False,
        cache_mib=16,
        tuning=None,
        seed=0,
    )
    settings: dict[str, Any] = {"cascades_at_once": 4, "outputs_mib": 16, "threads": 1, "objectives": ()}
    return JointEvaluator(supernet=supernet, dataset=images, device="cpu", networks=networks, **(settings | changes))


def sampled(supernet: JointSupernet, n: int, seed: int = 0) -> np.ndarray:
    return supernet.space.sample(n, np.random.default_rng(seed))
