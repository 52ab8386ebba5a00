"""Made-up evaluations and network outputs, of a future run's size. Forecasts time the search on them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from nas.objective.base import TOP1_ERROR, Objective, values
from nas.pool.base import Outputs, Pool, Split
from nas.run.archive import Archive, Commit, Entry
from nas.space.base import SearchSpace
from nas.types import Floats, Progress

MOST_OUTPUTS = 2**25
"""Largest number of made-up probabilities. If a pool has more, fewer images are made and times are extrapolated."""


def archive(
    space: SearchSpace,
    objectives: Sequence[Objective],
    measured: Sequence[Mapping[str, float]],
    sizes: Sequence[int],
    rng: np.random.Generator,
) -> Archive:
    """Return an archive in memory: random architectures whose error falls as their gene values rise.

    Args:
        space: Search space of the architectures.
        objectives: Objectives other than the error.
        measured: Metrics of some architectures. The made-up ones differ from them by up to 10 percent.
        sizes: Number of evaluations of each step.
        rng: Random generator.
    """
    genomes = space.sample_unseen(sum(sizes), np.zeros((0, space.n_genes), dtype=np.int64), rng)
    share = ((genomes - space.lower) / np.maximum(space.upper - space.lower, 1)).mean(axis=1)
    metrics = []
    for i, each in enumerate(share):
        known = measured[i % len(measured)]
        factors = rng.uniform(0.9, 1.1, len(known)).tolist()
        varied = {name: value * factor for (name, value), factor in zip(known.items(), factors, strict=True)}
        metrics.append(varied | {"top1": 60 + 30 * float(each) + float(rng.normal())})
    found = values(objectives, genomes, metrics)
    result = Archive(Path(), (TOP1_ERROR, *(objective.measure for objective in objectives)), space.names)
    steps = np.repeat(np.arange(len(sizes)), sizes)[: len(genomes)].tolist()
    for i, step in enumerate(steps):
        row, index = tuple(found[i].tolist()), i - steps.index(step)
        result.history.append(Entry(step, index, space.decode(genomes[i]), row, metrics[i], row[0], "0" * 64))
    result.commits += [Commit(step) for step in range(len(sizes))]
    return result


@final
class MadeUpPool(Pool):
    """Pool of made-up networks, which agree more on easier images. From first to last, costs rise and errors fall.

    Attributes:
        images: Assumed number of images of a split; :meth:`outputs` may make fewer.

    Example:
        >>> pool = MadeUpPool(networks=3, images=20, classes=10)
        >>> pool.outputs("validation").probabilities.shape
        (3, 20, 10)
    """

    fingerprint = "made up"

    def __init__(self, *, networks: int, images: int, classes: int) -> None:
        """Set the size; the outputs are made on request."""
        self.images = images
        self._made = max(1, min(images, MOST_OUTPUTS // (networks * classes)))
        self.names: tuple[str, ...] = tuple(f"network{i}" for i in range(networks))
        self.groups = ("made up",) * networks
        self.architectures: tuple[Mapping[str, Any], ...] = ({},) * networks
        self.class_names = tuple(map(str, range(classes)))
        self.splits: tuple[Split, ...] = ("validation", "test")
        self.failed: Mapping[str, str] = {}
        costs = np.linspace(100.0, 600.0, networks)
        self.costs: Mapping[str, Floats] = dict.fromkeys(("flops", "params", "latency"), costs)

    @property
    def share(self) -> float:
        """Ratio of the assumed number of images to the actual one."""
        return self.images / self._made

    @property
    def stored_bytes(self) -> int:
        """Bytes of the outputs of all networks on both splits: probabilities in half precision, and gaps."""
        return 2 * len(self.names) * self.images * (2 * self.n_classes + 4)

    def prepare(self, progress: Progress) -> None:
        """Do nothing: the outputs need no preparation."""

    def outputs(self, split: Split) -> Outputs:
        """Return made-up outputs."""
        rng = np.random.default_rng(0)
        n, c = self._made, self.n_classes
        labels = rng.integers(c, size=n)
        sure = 8 * rng.random(n, dtype=np.float32)
        probabilities = np.empty((len(self.names), n, c), dtype=np.float16)
        gaps = np.empty((len(self.names), n), dtype=np.float32)
        for network, skill in enumerate(np.linspace(0.5, 1.0, len(self.names), dtype=np.float32)):
            logits = rng.standard_normal((n, c), dtype=np.float32)
            logits[np.arange(n), labels] += sure * skill
            exponentials = np.exp(logits)
            probabilities[network] = exponentials / exponentials.sum(axis=1, keepdims=True)
            ordered = np.sort(logits, axis=1)
            gaps[network] = ordered[:, -1] - ordered[:, -2]
        return Outputs(probabilities, gaps, labels)
