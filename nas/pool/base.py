"""Pools: the stored outputs of many trained models on one data set."""

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
    """What k models say about the n images of one split.

    Attributes:
        probabilities: of the c classes, shape (k, n, c), float16, read-only and usually memory-mapped: it may be larger
            than memory, so take images of it a part at a time. It lies in memory image by image, so that
            ``probabilities.transpose(1, 0, 2)``, (n, k, c), is contiguous.
        gaps: confidence gaps, the largest minus the second largest logit, shape (k, n), float32.
        labels: class indices, shape (n,), int64.
    """

    probabilities: npt.NDArray[np.float16]
    gaps: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def right(self) -> npt.NDArray[np.bool_]:
        """Return which images each model answers rightly, shape (k, n)."""
        return np.stack([each.argmax(axis=1) == self.labels for each in self.probabilities])


class Pool(ABC):
    """k models with the outputs of each on the same images.

    A constructor finds out what is wrong with the settings and runs no model. What is listed here holds once
    :meth:`prepare` has returned, which may drop models that cannot be used.

    Attributes:
        names: of the models, length k, all different, for example ``"digits-tiny-1/iter_3/net_5"``.
        groups: the run, supernet or family that each model comes from, length k.
        costs: costs of one image by name, each of shape (k,): ``"flops"`` in millions of multiply-adds of convolutions
            and linear layers, ``"params"`` in millions where it is known for all models, others likewise.
        architectures: what describes each model in ``front.json``, length k.
        class_names: one a class; the index is the label.
        splits: what there are outputs of: ``"validation"``, and ``"test"`` unless somebody else's outputs lack it.
        failed: models that were left out because they cannot be used, each with the reason; most pools refuse instead.
        has_outputs: whether results follow from what it holds; not so for one that stands in for another in checks.
        fingerprint: SHA-256 of the weights, data and code of all models in their order, as hexadecimal digits: equal
            fingerprints, equal outputs but for rounding.
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
        """The number of classes, c."""
        return len(self.class_names)

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """Least and largest cost of a network, by the names of ``costs``: those of the models of the pool.

        Where the models are what a search found, they are those of its space, which do not depend on what it found.
        """
        return {name: (float(each.min()), float(each.max())) for name, each in self.costs.items()}

    @abstractmethod
    def prepare(self, progress: Progress) -> None:
        """Compute and store the outputs that are missing; a second call, or one after a kill, does only the rest.

        Raises:
            UserError: if models disagree about labels, sizes or splits (two of them are named), or none can be used.
        """

    @abstractmethod
    def outputs(self, split: Split) -> Outputs:
        """Return the outputs of all models on a split; :meth:`prepare` must have returned.

        Files that were damaged since are noticed and made anew.

        Raises:
            UserError: if there are no outputs on this split.
        """

    def size(self, split: Split) -> int:
        """Return how many images a split has; :meth:`prepare` must have returned."""
        return len(self.outputs(split).labels)
