"""One model of a pool, and what running it gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.errors import UserError
from nas.pool.array_folder import plain_digest
from nas.pool.base import Split

VERSION = 1
"""Raised whenever the same model gives other stored values: it is part of the key of all outputs."""

SMALLEST = float(np.finfo(np.float16).smallest_subnormal)
"""What a probability of zero is taken for where gaps are computed from probabilities."""

BLOCK = 2**22
"""Logits that are looked at at once."""

SUM_TOLERANCE = 0.02
"""How far the probabilities of an image may be from 1: float16 has three digits, and there may be 1,000 classes."""


@dataclass(frozen=True)
class SplitOutputs:
    """The outputs of one model on one split.

    Attributes:
        probabilities: (n, c), float16.
        gaps: largest minus second largest logit, (n,), float32.
    """

    probabilities: npt.NDArray[np.float16]
    gaps: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Computed:
    """What running a model gives.

    Attributes:
        splits: its outputs.
        costs: of one image that are counted then, by name, see :class:`nas.pool.base.Pool`.
        facts: what is worth keeping about it, plain values, such as a hash of its weights.
    """

    splits: Mapping[Split, SplitOutputs]
    costs: Mapping[str, float]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class PoolModel:
    """A model that can be run.

    Attributes:
        name: unique in the pool.
        group: the run, supernet or family it comes from.
        architecture: what describes it, plain values.
        identity: all that decides its outputs, plain values: hashes of weights, data and code.
        data: what must be equal for all models of a pool beside classes and labels, such as the seed of the splits.
        class_names: one a class.
        labels: class indices, (n,), int64, by split.
        costs: those that are known without running it.
        run: computes everything.
    """

    name: str
    group: str
    architecture: Mapping[str, Any]
    identity: Mapping[str, Any]
    data: Mapping[str, Any]
    class_names: tuple[str, ...]
    labels: Mapping[Split, npt.NDArray[np.int64]]
    costs: Mapping[str, float]
    run: Callable[[], Computed]

    @property
    def key(self) -> str:
        """Name of the folder of its outputs: equal exactly where equal outputs can be expected."""
        return plain_digest([VERSION, self.identity])[:32]


def probabilities_of(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Return the probabilities of logits, (n, c), as they are stored, a few at a time."""
    found = np.empty(logits.shape, dtype=np.float16)
    rows = max(1, BLOCK // logits.shape[1])
    for part in (slice(start, start + rows) for start in range(0, len(logits), rows)):
        block = logits[part].astype(np.float32, copy=False)
        exponentials = np.exp(block - block.max(axis=1, keepdims=True))
        found[part] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return found


def from_logits(logits: npt.NDArray[np.float32]) -> SplitOutputs:
    """Return probabilities and gaps of logits, (n, c); c at least 2.

    Raises:
        FloatingPointError: if logits are not finite.
    """
    if not np.isfinite(logits).all():
        raise FloatingPointError("the model's outputs are not finite")
    n, c = logits.shape
    found = SplitOutputs(probabilities_of(logits), np.empty(n, np.float32))
    rows = max(1, BLOCK // c)
    for part in (slice(start, start + rows) for start in range(0, n, rows)):
        found.gaps[part] = _gap(logits[part].astype(np.float32, copy=False))
    return found


def from_probabilities(probabilities: npt.NDArray[Any], gaps: npt.NDArray[Any] | None) -> SplitOutputs:
    """Return outputs of probabilities, (n, c); gaps, (n,), are differences of their logarithms where not given.

    Raises:
        UserError: if they are no probabilities.
    """
    values = probabilities.astype(np.float32)
    if not np.isfinite(values).all() or values.min() < 0 or np.abs(values.sum(axis=1) - 1).max() > SUM_TOLERANCE:
        raise UserError("its outputs are no probabilities: an image's must be 0 or more and sum to 1")
    if gaps is None:
        gaps = _gap(np.log(np.maximum(values, SMALLEST)))
    return SplitOutputs(values.astype(np.float16), gaps.astype(np.float32))


def _gap(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    highest = np.partition(values, -2, axis=1)[:, -2:]
    gap: npt.NDArray[np.float32] = highest[:, 1] - highest[:, 0]
    return gap
