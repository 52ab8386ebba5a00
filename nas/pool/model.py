"""Models of a pool, and the outputs of a model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.errors import UserError
from nas.pool.array_folder import plain_digest
from nas.pool.base import Split

VERSION = 1
"""Part of the key of all outputs. It is increased whenever the stored values of the same model change."""

SMALLEST = float(np.finfo(np.float16).smallest_subnormal)
"""Replacement for zero probabilities when gaps are computed from probabilities."""

BLOCK = 2**22
"""Maximum number of logits that are processed at a time."""

SUM_TOLERANCE = 0.02
"""Tolerance for the sum of an image's probabilities: float16 has three digits, and there may be 1,000 classes."""


@dataclass(frozen=True)
class SplitOutputs:
    """Outputs of one model on one split.

    Attributes:
        probabilities: Class probabilities, shape (n, c), float16.
        gaps: Largest minus second largest logit, shape (n,), float32.
    """

    probabilities: npt.NDArray[np.float16]
    gaps: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Computed:
    """Result of running a model.

    Attributes:
        splits: Outputs by split.
        costs: Costs per image that are measured during the run, by name, see :class:`nas.pool.base.Pool`.
        facts: Plain values to store with the outputs, such as a hash of the weights.
    """

    splits: Mapping[Split, SplitOutputs]
    costs: Mapping[str, float]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class PoolModel:
    """Model that can be run to get its outputs.

    Attributes:
        name: Name of the model, unique in the pool.
        group: Run, supernet or family of the model.
        architecture: Description of the model, plain values.
        identity: Plain values that determine the outputs: hashes of weights, data and code.
        data: Plain values that must be equal for all models of a pool, such as the seed of the splits. Classes and
            labels must also be equal.
        class_names: Name of each class, by label.
        labels: Class indices by split, each of shape (n,), int64.
        costs: Costs per image that are known without a run, by name.
        run: Function that computes the outputs.
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
        """Name of the folder with the outputs; equal exactly for models of which equal outputs can be expected."""
        return plain_digest([VERSION, self.identity])[:32]


def probabilities_of(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Return the probabilities of logits in half precision, as they are stored.

    They are computed in blocks to limit memory.

    Args:
        logits: Logits, shape (n, c), float32.

    Example:
        >>> import numpy as np
        >>> from nas.pool.model import probabilities_of
        >>> probabilities_of(np.array([[1.0, 1.0]], dtype=np.float32)).tolist()
        [[0.5, 0.5]]
    """
    found = np.empty(logits.shape, dtype=np.float16)
    rows = max(1, BLOCK // logits.shape[1])
    for part in (slice(start, start + rows) for start in range(0, len(logits), rows)):
        block = logits[part].astype(np.float32, copy=False)
        exponentials = np.exp(block - block.max(axis=1, keepdims=True))
        found[part] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return found


def from_logits(logits: npt.NDArray[np.float32]) -> SplitOutputs:
    """Return probabilities and gaps of logits.

    Args:
        logits: Logits, shape (n, c), with c at least 2.

    Raises:
        FloatingPointError: If logits are not finite.

    Example:
        >>> import numpy as np
        >>> from nas.pool.model import from_logits
        >>> from_logits(np.array([[3.0, 1.0, -2.0]], dtype=np.float32)).gaps.tolist()
        [2.0]
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
    """Return outputs with given probabilities.

    Args:
        probabilities: Class probabilities, shape (n, c).
        gaps: Confidence gaps, shape (n,); ``None`` for differences of the logarithms of the probabilities.

    Raises:
        UserError: If an image's probabilities are negative, not finite, or do not sum to 1.

    Example:
        >>> import numpy as np
        >>> from nas.pool.model import from_probabilities
        >>> from_probabilities(np.array([[0.5, 0.5]]), None).gaps.tolist()
        [0.0]
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
