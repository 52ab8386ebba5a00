"""How surrogates' predictions agreed with evaluations, for many steps at once."""

import numpy as np

from nas.report.record import Integers, Record
from nas.types import Floats


def surrogate_quality(record: Record) -> tuple[Integers, Floats]:
    """Return how the predictions of new candidates agreed with their evaluations, step by step.

    Returns:
        The steps with at least two predicted candidates, shape (s,), and root-mean-square error (in the unit of the
        first objective), Spearman's rho and Kendall's tau-b of each, shape (s, 3); correlations are not-a-number
        where nothing varies.
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
    """Return error, rho and tau of each row, (s, n) and (s, n) -> (s, 3); not-a-number fills short rows."""
    found = np.full((len(predicted), 3), np.nan)
    for row in _chunks(predicted):
        x, y = predicted[row], actual[row]
        found[row, 0] = np.sqrt(np.nanmean((x - y) ** 2, axis=1))
        signs_x, signs_y = (np.sign(v[:, :, None] - v[:, None, :]) for v in (x, y))
        found[row, 1] = _ratio(*(_centred_rank(signs) for signs in (signs_x, signs_y)))
        found[row, 2] = _ratio(*(np.nan_to_num(signs).reshape(len(x), -1) for signs in (signs_x, signs_y)))
    return found


def _chunks(rows: Floats) -> list[slice]:
    """Return slices of rows whose pairs fit in little memory."""
    size = max(1, 4_000_000 // max(rows.shape[1] ** 2, 1))
    return [slice(start, start + size) for start in range(0, len(rows), size)]


def _centred_rank(signs: Floats) -> Floats:
    """Return twice the ranks less their mean, ties sharing theirs, from the signs of differences, (s, n, n)."""
    return np.nan_to_num(signs).sum(axis=2)


def _ratio(x: Floats, y: Floats) -> Floats:
    """Return the correlation of rows whose means are 0."""
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return np.divide((x * y).sum(axis=1), scale, out=np.full(len(x), np.nan), where=scale > 0)
