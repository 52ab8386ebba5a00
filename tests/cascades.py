"""Pools in memory, and cascades evaluated one at a time as their definition says."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.pool.base import SPLITS, Outputs, Pool, Split
from nas.types import Progress

REFERENCE = Path(__file__).parent.parent.parent / "shared" / "reference"


class MemoryPool(Pool):
    """Outputs as arrays; the second half of the images is the test split."""

    def __init__(
        self, probabilities: np.ndarray, labels: np.ndarray, flops: np.ndarray, gaps: np.ndarray | None = None
    ) -> None:
        k, n, c = probabilities.shape
        self.names = tuple(f"net{i}" for i in range(k))
        self.groups = ("group",) * k
        self.costs = {"flops": np.asarray(flops, dtype=np.float64)}
        self.architectures = tuple({"index": i} for i in range(k))
        self.class_names = tuple(map(str, range(c)))
        self.fingerprint, self.splits = "memory", SPLITS
        self.prepared = 0
        self._arrays = probabilities, confidence(probabilities) if gaps is None else gaps, labels
        self._half = n // 2

    def prepare(self, progress: Progress) -> None:
        self.prepared += 1

    def outputs(self, split: Split) -> Outputs:
        part = slice(None, self._half) if split == "validation" else slice(self._half, None)
        probabilities, gaps, labels = self._arrays
        return Outputs(probabilities[:, part], gaps[:, part].astype(np.float32), labels[part].astype(np.int64))


def confidence(probabilities: np.ndarray) -> np.ndarray:
    """Return gaps between the two largest, (k, n, c) -> (k, n)."""
    ordered = np.sort(probabilities.astype(np.float32), axis=2)
    return ordered[:, :, -1] - ordered[:, :, -2]


def made_up(k: int = 7, n: int = 200, c: int = 5, seed: int = 0, steps: int | None = None) -> tuple[Any, Any, Any]:
    """Return probabilities, (k, n, c), labels, (n,), and costs, (k,); with ``steps``, multiples of 1/steps: ties."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(c, size=n)
    logits = (
        rng.standard_normal((k, n, c))
        + 4 * rng.random((1, n, 1)) * np.eye(c)[labels] * np.linspace(0.5, 1, k)[:, None, None]
    )
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=2, keepdims=True)
    if steps is not None:
        probabilities = np.round(probabilities * steps) / steps
    return probabilities.astype(np.float16), labels, np.linspace(10, 100, k)


def memory_pool(**shape: Any) -> MemoryPool:
    return MemoryPool(*made_up(**shape))


def by_definition(
    probabilities: np.ndarray, labels: np.ndarray, networks: Sequence[int], thresholds: Sequence[float]
) -> tuple[float, list[int]]:
    """Return error in percent and images that reach each position; image by image, in float32."""
    wrong, reached = 0, [0] * len(networks)
    for image, label in enumerate(labels):
        mean, used = np.zeros(probabilities.shape[2], dtype=np.float32), 0
        for position, network in enumerate(networks):
            if network == 0:
                continue
            if used and mean.max() > np.float32(thresholds[position - 1]):
                break
            reached[position] += 1
            used += 1
            row = probabilities[network - 1, image].astype(np.float32)
            mean = np.float32((used - 1) / used) * mean + np.float32(1 / used) * row
        wrong += int(mean.argmax() != label)
    return 100 * (wrong / len(labels)), reached


def reference(name: str) -> tuple[Any, Any]:
    """Return arrays and numbers that the published code computed; the test is skipped where they are absent."""
    if not (REFERENCE / f"{name}.npz").exists():
        pytest.skip("the reference numbers in ../shared/reference are absent")
    return np.load(REFERENCE / f"{name}.npz"), json.loads((REFERENCE / f"{name}.json").read_text())


def write_pool(folder: Path, **shape: Any) -> None:
    """Write outputs as ``pool=files`` reads them; the second half of the images is the test split."""
    folder.mkdir(parents=True)
    pool = memory_pool(**shape)
    for index, name in enumerate(pool.names):
        arrays = {}
        for split in ("validation", "test"):
            found = pool.outputs(split)
            arrays |= {
                split: found.probabilities[index],
                f"{split}_gaps": found.gaps[index],
                f"{split}_labels": found.labels,
            }
        np.savez(folder / f"{name}.npz", **arrays)
    rows = [{"name": name, "flops": float(cost)} for name, cost in zip(pool.names, pool.costs["flops"], strict=True)]
    (folder / "models.json").write_text(json.dumps(rows))
