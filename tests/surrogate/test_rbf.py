import numpy as np
import pytest

from nas.surrogate.rbf import RBF


def data(n=60, d=12, seed=0):
    rng = np.random.default_rng(seed)
    genomes = rng.integers(0, 3, size=(n, d))
    return genomes, rng.normal(20, 3, size=(n, 2)), rng.integers(0, 3, size=(25, d))


def test_equals_pysot():
    rbf = pytest.importorskip("pySOT.surrogate", reason="pySOT imports on Python 3.11 only")
    genomes, values, points = data()
    reference = rbf.RBFInterpolant(
        dim=12, lb=np.zeros(12), ub=np.ones(12), kernel=rbf.CubicKernel(), tail=rbf.LinearTail(12)
    )
    reference.add_points(genomes.astype(float), values[:, :1])
    surrogate = RBF()
    surrogate.fit(genomes, values)
    np.testing.assert_allclose(surrogate.predict(points)[:, :1], reference.predict(points), rtol=1e-8)


def test_interpolates():
    genomes, values, _ = data()
    surrogate = RBF()
    surrogate.fit(genomes, values)
    np.testing.assert_allclose(surrogate.predict(genomes), values, atol=1e-4)


def test_duplicates_count_once_with_their_mean():
    genomes, values, points = data()
    repeated, single = RBF(), RBF()
    repeated.fit(np.vstack([genomes, genomes[:1]]), np.vstack([values, values[:1] + 2]))
    single.fit(genomes, np.vstack([values[:1] + 1, values[1:]]))
    np.testing.assert_allclose(repeated.predict(points), single.predict(points))


def test_a_gene_that_never_varies_has_no_influence():
    genomes, values, points = data()
    genomes[:, 3] = 1
    surrogate = RBF()
    surrogate.fit(genomes, values)
    without = RBF()
    without.fit(np.delete(genomes, 3, axis=1), values)
    points[:, 3] = 1
    np.testing.assert_allclose(surrogate.predict(points), without.predict(np.delete(points, 3, axis=1)), rtol=1e-6)


def test_too_few_points():
    genomes, values, _ = data(n=12)
    with pytest.raises(ValueError, match="needs 13 different points, got 12"):
        RBF().fit(genomes, values)
    assert RBF().minimum_points(12) == 13
