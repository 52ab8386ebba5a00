"""A pool of invented models that count how often they are run."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from nas.pool.base import Split
from nas.pool.model import Computed, PoolModel, from_logits
from nas.pool.stored_pool import StoredPool
from nas.types import Progress

SIZES: dict[Split, int] = {"validation": 40, "test": 30}
CLASSES = ("a", "b", "c")


def logits(seed: int, split: Split) -> np.ndarray:
    return np.random.default_rng([seed, SIZES[split]]).standard_normal((SIZES[split], len(CLASSES))).astype(np.float32)


def labels() -> dict[Split, np.ndarray]:
    return {split: np.arange(size, dtype=np.int64) % len(CLASSES) for split, size in SIZES.items()}


class Invented(StoredPool):
    """Models 0 to k - 1; ``runs`` lists those that were run."""

    def __init__(
        self,
        cache: Path,
        k: int = 3,
        workers: int = 1,
        skip_failed: bool = False,
        failing: tuple[int, ...] = (),
        pause: float = 0.0,
        changes: Mapping[int, Mapping[str, Any]] | None = None,
        told: Callable[[int], None] = lambda seed: None,
    ) -> None:
        super().__init__(cache=cache, workers=workers, skip_failed=skip_failed)
        self.runs: list[int] = []
        self._k, self._failing, self._pause, self._changes = k, failing, pause, changes or {}
        self._told = told
        self._lock = Lock()

    def _models(self, progress: Progress) -> tuple[Sequence[PoolModel], Mapping[str, str]]:
        models = []
        for seed in range(self._k):
            settings: dict[str, Any] = {
                "name": f"model_{seed}",
                "group": "even" if seed % 2 == 0 else "odd",
                "architecture": {"seed": seed},
                "identity": {"seed": seed},
                "data": {},
                "class_names": CLASSES,
                "labels": labels(),
                "costs": {"latency": 0.5},
                "run": partial(self._computed, seed),
            }
            models.append(PoolModel(**(settings | dict(self._changes.get(seed, {})))))
        return models, {}

    def _computed(self, seed: int) -> Computed:
        self._told(seed)
        with self._lock:
            self.runs.append(seed)
        time.sleep(self._pause)
        if seed in self._failing:
            raise ValueError(f"no weights\nof {seed}")
        return Computed(
            splits={split: from_logits(logits(seed, split)) for split in SIZES},
            costs={"flops": 10.0 * (seed + 1)} | ({"params": 1.0} if seed != 1 else {}),
            facts={},
        )


def silent(what: str, done: int, total: int) -> None:
    pass


if __name__ == "__main__":  # for a test that kills it
    Invented(Path(sys.argv[1]), k=6, pause=0.3, told=lambda seed: print(seed, flush=True)).prepare(silent)
