"""Comparison of an exported file with its network: outputs and speed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter_ns

import numpy as np
import torch
from torch import Tensor, nn

from nas.cascade.module import OUTPUTS
from nas.evaluator.accuracy import margin
from nas.export.base import LOGITS, Arrays, Images, Run


@dataclass(frozen=True)
class Parity:
    """Differences between the outputs of a file and of its network.

    Attributes:
        images: Number of images.
        largest_difference: Largest difference of logits, or of a cascade's probabilities where equally many networks
            are used.
        largest_value: The largest of the network's own, without its sign.
        other_answers: Images of which the file says another class, where as many networks are asked.
        other_stages: Images of which a cascade asks another number of networks.
    """

    images: int
    largest_difference: float
    largest_value: float
    other_answers: int
    other_stages: int

    def broken(self, tolerance: float) -> str | None:
        """Return the difference that is too large, in words, or None.

        An image whose confidence is a threshold, or between two classes, goes one way or the other by rounding: a few
        of them may, see :func:`nas.evaluator.accuracy.margin`.

        Args:
            tolerance: The largest difference that counts as none, as a share of the largest value, and of 1 where
                all are smaller.
        """
        if not self.largest_difference <= tolerance * max(1.0, self.largest_value):  # not-a-number is wrong too
            return (
                f"outputs differ by up to {self.largest_difference:.2g}, where the largest is {self.largest_value:.3g} "
                f"and the tolerance {tolerance:g} times that"
            )
        if self.other_stages > margin(self.images):
            return f"{self.other_stages} of {self.images} images ask another number of networks"
        if self.other_answers > margin(self.images):
            return f"{self.other_answers} of {self.images} images are answered otherwise"
        return None

    @property
    def answers(self) -> str:
        """In words, how many images are answered as the network does."""
        others = self.other_answers + self.other_stages
        return "the same answers" if others == 0 else f"the same answers but for {others:,}, which rounding explains"


def original(network: nn.Module) -> Run:
    """Return what runs a network on the CPU as an exported file is run."""

    def run(images: Images) -> Arrays:
        with torch.inference_mode():
            found = network(torch.from_numpy(images))
        if isinstance(found, Tensor):
            return {LOGITS: found.float().numpy()}
        return {name: getattr(found, name).numpy() for name in OUTPUTS}

    return run


def compare(network: Run, file: Run, images: Images, batch_size: int) -> Parity:
    """Run both on images, (n, 3, height, width), in batches."""
    parts = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
    expected, found = _together([network(part) for part in parts]), _together([file(part) for part in parts])
    values = LOGITS if LOGITS in expected else OUTPUTS[0]
    answers = [outputs[values].argmax(axis=1) for outputs in (expected, found)]
    stages = [outputs["stages"] if "stages" in outputs else np.zeros(len(images)) for outputs in (expected, found)]
    same = stages[0] == stages[1]
    differences = np.abs(expected[values] - found[values])[same]
    return Parity(
        images=len(images),
        largest_difference=float(differences.max(initial=0.0)),
        largest_value=float(np.abs(expected[values]).max()),
        other_answers=int((answers[0] != answers[1])[same].sum()),
        other_stages=int((~same).sum()),
    )


def latencies(runs: Mapping[str, Run], images: Images, *, warmup: int, repeats: int) -> dict[str, float]:
    """Return the median time of each run on a batch, milliseconds; runs alternate, so that all see the same load.

    Args:
        runs: By name.
        images: The batch.
        warmup: Rounds that do not count, before the others.
        repeats: Rounds that count.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for done in range(-warmup, repeats):
        for name, run in runs.items():
            start = perf_counter_ns()
            run(images)
            if done >= 0:
                times[name].append((perf_counter_ns() - start) / 1e6)
    return {name: float(np.median(found)) for name, found in times.items()}


def _together(outputs: Sequence[Arrays]) -> Arrays:
    return {name: np.concatenate([part[name] for part in outputs]) for name in outputs[0]}
