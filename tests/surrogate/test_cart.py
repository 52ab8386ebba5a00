import numpy as np
from sklearn.tree import DecisionTreeRegressor

from nas.surrogate.base import unique_rows
from nas.surrogate.cart import CART


def test_is_the_mean_of_scikit_learns_trees(monkeypatch):
    rng = np.random.default_rng(0)
    genomes, points = rng.integers(0, 3, size=(70, 6)), rng.integers(0, 3, size=(40, 6))
    values = rng.normal(20, 3, size=(70, 2))
    grown: list[DecisionTreeRegressor] = []
    lay_out = CART._lay_out

    def spy(self, trees, subsets):
        grown.extend(zip(trees, subsets, strict=True))
        lay_out(self, trees, subsets)

    monkeypatch.setattr(CART, "_lay_out", spy)
    monkeypatch.setattr("nas.surrogate.cart._STATES", 500)  # several chunks
    surrogate = CART(trees=50, seed=0)
    surrogate.fit(genomes, values)
    _, means = unique_rows(genomes, values)
    each = np.array([tree.predict(points[:, genes]) for tree, genes in grown]) * means.std(axis=0) + means.mean(axis=0)
    np.testing.assert_allclose(surrogate.predict(points), each.mean(axis=0))
    np.testing.assert_allclose(surrogate.deviation(points), each.std(axis=0))
    assert {len(genes) for _, genes in grown} == set(range(1, 7))
    assert surrogate.predict(points[:0]).shape == (0, 2)
