from itertools import product

import numpy as np
import pytest

from nas.report.statistics.attainment import attainment_surfaces, spread


def attained_by(fronts, point):
    return sum(bool(np.any(np.all(front <= point, axis=1))) for front in fronts)


@pytest.mark.parametrize("runs", [1, 2, 3, 6, 7])
def test_a_point_is_above_a_surface_exactly_when_so_many_runs_dominate_it(runs):
    rng = np.random.default_rng(runs)
    fronts = [rng.integers(0, 12, (8, 2)).astype(float) for _ in range(runs)]
    surfaces = attainment_surfaces(fronts)
    for name, needed in (("best", 1), ("median", -(-runs // 2)), ("worst", runs)):
        for point in product(np.arange(0, 13, 0.5), repeat=2):
            above = bool(np.any(np.all(surfaces[name] <= np.array(point), axis=1)))
            assert above == (attained_by(fronts, np.array(point)) >= needed), (name, point)


def test_spread_leaves_out_what_is_not_there():
    curves = np.array([[np.nan, 1.0, 2.0], [np.nan, 3.0, np.nan]])
    found = spread(curves)
    assert np.isnan(found[:, 0]).all()
    assert found[:, 1].tolist() == [1.0, 1.5, 2.0, 2.5, 3.0] and found[:, 2].tolist() == [2.0] * 5
