"""The published filtering of a front of cascades: only those that are visibly better than cheaper ones."""

import numpy as np
import numpy.typing as npt

from nas.types import Floats


def worth_keeping(accuracies: Floats, costs: Floats) -> npt.NDArray[np.bool_]:
    """Return which cascades improve the accuracy by a tenth of a percent over all cheaper ones, shape (n,).

    From the cheapest on, a cascade is kept if its validation accuracy, rounded to one decimal, is higher than that of
    every one before it (ENCAS's published code, which selects with it before it reports test accuracies).

    Args:
        accuracies: on the validation images, percent, shape (n,).
        costs: shape (n,).
    """
    order = np.lexsort((-accuracies, costs))
    tenths = np.round(accuracies[order] * 10)
    before = np.concatenate([[0.0], np.maximum.accumulate(tenths)[:-1]]) if len(order) else tenths
    kept = np.zeros(len(order), dtype=np.bool_)
    kept[order] = tenths > before
    return kept
