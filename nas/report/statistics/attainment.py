"""Fronts and curves of several runs put together: surfaces of empirical attainment, quartiles."""

from collections.abc import Sequence

import moocore
import numpy as np

from nas.pareto import non_dominated
from nas.types import Floats

LEVELS = ("best", "median", "worst")
"""Attained by at least one run, by at least half of them, and by all."""


def attainment_surfaces(fronts: Sequence[Floats]) -> dict[str, Floats]:
    """Return the surfaces of the empirical attainment function of two objectives (Grunert da Fonseca et al. 2001).

    Args:
        fronts: of each run, shape (n_i, 2), minimised.

    Returns:
        By the names in ``LEVELS`` the corners of each surface, shape (k, 2), ascending in the first objective.
    """
    runs = len(fronts)
    points = np.vstack([front[non_dominated(front)] for front in fronts])
    owners = np.repeat(np.arange(runs), [len(non_dominated(front)) for front in fronts])
    wanted = {"best": 1, "median": -(-runs // 2), "worst": runs}
    percentiles = sorted({100.0 * count / runs for count in wanted.values()})
    found = moocore.eaf(points, sets=owners, percentiles=percentiles)
    surfaces = {}
    for name, count in wanted.items():
        surface = found[np.isclose(found[:, 2], 100.0 * count / runs), :2]
        surfaces[name] = surface[np.lexsort((surface[:, 1], surface[:, 0]))]
    return surfaces


def spread(curves: Floats) -> Floats:
    """Return minimum, lower quartile, median, upper quartile and maximum over curves, (r, g) -> (5, g)."""
    found = np.full((5, curves.shape[1]), np.nan)
    some = ~np.isnan(curves).all(axis=0)
    found[:, some] = np.nanquantile(curves[:, some], [0.0, 0.25, 0.5, 0.75, 1.0], axis=0)
    return found
