"""Quality of a surrogate's predictions in each step of a recorded run."""

import numpy as np
from scipy.stats import kendalltau, spearmanr

from nas.run.record import Integers, Record
from nas.types import Floats

FEW = 40
"""Largest number of candidates per step for which correlations of all steps are computed at once, from all pairs."""


def prediction_quality(record: Record) -> tuple[Integers, Floats]:
    """Return the agreement of predictions with evaluations among the new candidates of each step.

    Returns:
        Steps with at least two predicted candidates, shape (s,); and for each of them root-mean-square error (in the
        unit of the first objective), Spearman's rho and Kendall's tau-b, shape (s, 3). Correlations are not-a-number
        if predictions or evaluations do not vary.
    """
    used = record.ok & record.fresh & ~np.isnan(record.predicted)
    steps, place, counts = np.unique(record.step[used], return_inverse=True, return_counts=True)
    pairs = np.full((len(steps), int(counts.max(initial=0)), 2), np.nan)
    column = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
    pairs[place, column, 0] = record.predicted[used]
    pairs[place, column, 1] = record.objectives[used, 0]
    enough = counts >= 2
    return steps[enough], _quality(pairs[enough, :, 0], pairs[enough, :, 1])


def _quality(predicted: Floats, actual: Floats) -> Floats:
    """Return error, rho and tau of each row, shape (s, 3). Inputs have shape (s, n); short rows end in not-a-number."""
    found = np.full((len(predicted), 3), np.nan)
    if len(predicted) == 0:
        return found
    found[:, 0] = np.sqrt(np.nanmean((predicted - actual) ** 2, axis=1))
    if predicted.shape[1] > FEW:
        for row in range(len(predicted)):
            x, y = (values[row][~np.isnan(values[row])] for values in (predicted, actual))
            if np.ptp(x) > 0 and np.ptp(y) > 0:
                found[row, 1:] = spearmanr(x, y).statistic, kendalltau(x, y).statistic
        return found
    signs = [np.nan_to_num(np.sign(v[:, :, None] - v[:, None, :])) for v in (predicted, actual)]
    found[:, 1] = _ratio(*(sign.sum(axis=2) for sign in signs))  # twice the centered ranks, with mean ranks for ties
    found[:, 2] = _ratio(*(sign.reshape(len(sign), -1) for sign in signs))
    return found


def _ratio(x: Floats, y: Floats) -> Floats:
    """Return the correlation of rows whose means are 0."""
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    found: Floats = np.divide((x * y).sum(axis=1), scale, out=np.full(len(x), np.nan), where=scale > 0)
    return found
