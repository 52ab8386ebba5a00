"""Base class for pools: stored outputs of many trained models on one data set."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from nas.types import Floats, Progress

Split = Literal["validation", "test"]
SPLITS: tuple[Split, ...] = ("validation", "test")


@dataclass(frozen=True)
class Outputs:
    """Outputs of k models on the n images of one split.

    Attributes:
        probabilities: Class probabilities, shape (k, n, c), float16, read-only and usually memory-mapped. They may be
            larger than memory, so read a few images at a time. They are stored image by image:
            ``probabilities.transpose(1, 0, 2)``, shape (n, k, c), is contiguous.
        gaps: Confidence gaps, the largest minus the second largest logit, shape (k, n), float32.
        labels: Class indices, shape (n,), int64.

    Example:
        >>> import numpy as np
        >>> from nas.pool.base import Outputs
        >>> probabilities = np.array([[[0.9, 0.1], [0.4, 0.6]]], dtype=np.float16)  # one model, two images
        >>> Outputs(probabilities, gaps=np.zeros((1, 2), np.float32), labels=np.array([0, 0])).right().tolist()
        [[True, False]]
    """

    probabilities: npt.NDArray[np.float16]
    gaps: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def right(self) -> npt.NDArray[np.bool_]:
        """Return whether each model classifies each image correctly, shape (k, n)."""
        return np.stack([each.argmax(axis=1) == self.labels for each in self.probabilities])


class Pool(ABC):
    """Base class for pools of k models with the outputs of each on the same images.

    A constructor checks the settings and runs no model. The attributes are valid once :meth:`prepare` has returned,
    which may drop models that cannot be used.

    Attributes:
        names: Names of the models, length k, all different, for example ``"digits-tiny-1/iter_3/net_5"``.
        groups: Run, supernet or family of each model, length k.
        costs: Costs per image by name, each of shape (k,). ``"flops"`` counts millions of multiply-adds of convolutions
            and linear layers. ``"params"``, in millions, and other costs are present if they are known for all models.
        architectures: Description of each model, as in ``front.json``, length k.
        class_names: Name of each class, by label.
        splits: Splits with outputs: ``"validation"``, and ``"test"`` unless outputs of other tools lack it.
        failed: Models that were left out because they cannot be used, with the reason. Most pools raise an error
            instead.
        has_outputs: Whether the pool holds real outputs; false for a placeholder that stands in for a pool in checks.
        fingerprint: SHA-256 of the weights, data and code of all models in order, as hexadecimal digits. Equal
            fingerprints mean equal outputs up to rounding.

    Example:
        >>> from nas.pool.base import Pool
        >>> from nas.pool.none import NoPool
        >>> pool = NoPool()
        >>> isinstance(pool, Pool), pool.names, pool.n_classes
        (True, (), 0)
    """

    has_outputs: ClassVar[bool] = True

    names: tuple[str, ...]
    groups: tuple[str, ...]
    costs: Mapping[str, Floats]
    architectures: tuple[Mapping[str, Any], ...]
    class_names: tuple[str, ...]
    splits: tuple[Split, ...]
    failed: Mapping[str, str]
    fingerprint: str

    @property
    def n_classes(self) -> int:
        """Number of classes, c."""
        return len(self.class_names)

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """Lowest and highest cost of a network for each name in ``costs``: here those of the pool's models.

        If the models come from searches, these are the limits of the search spaces, which do not depend on search
        results.
        """
        return {name: (float(each.min()), float(each.max())) for name, each in self.costs.items()}

    @abstractmethod
    def prepare(self, progress: Progress) -> None:
        """Compute and store the missing outputs.

        A second call, or a call after a kill, computes only what is still missing.

        Args:
            progress: Function that is called with the activity, the number of finished models and the total number.

        Raises:
            UserError: If two models, which are named, disagree about labels, sizes or splits, or no model can be used.
        """

    @abstractmethod
    def outputs(self, split: Split) -> Outputs:
        """Return the outputs of all models on a split; call :meth:`prepare` first.

        Files that were damaged in the meantime are detected and made again.

        Args:
            split: Split, ``"validation"`` or ``"test"``.

        Raises:
            UserError: If there are no outputs on this split.
        """

    def size(self, split: Split) -> int:
        """Return the number of images in a split; call :meth:`prepare` first."""
        return len(self.outputs(split).labels)
