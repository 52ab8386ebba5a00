import numpy as np
from scipy.optimize import approx_fprime

from nas.space.ofa import OfaSpace
from nas.surrogate.additive_gp import AdditiveGP, Encoding, _matern
from nas.surrogate.rbf import RBF


def fitted(space, n=40):
    genomes = space.sample_unseen(n, space.sample(0, np.random.default_rng(0)), np.random.default_rng(0))
    share = genomes @ np.linspace(1, 2, space.n_genes)
    surrogate = AdditiveGP(space=space, iterations=20, prior=2.0)
    surrogate.fit(genomes, np.stack([share**0.5, np.sin(share)], axis=1))
    return surrogate, genomes


def test_gradient_of_the_loss(space):
    surrogate, genomes = fitted(space)
    parts = surrogate._parts(surrogate._features, surrogate._features)
    targets = np.random.default_rng(1).normal(size=(len(genomes), 2))
    start = surrogate._start()
    scales = start + np.random.default_rng(2).normal(0, 0.3, len(start))
    _, gradient = surrogate._loss(scales, start, parts, targets)
    numeric = approx_fprime(scales, lambda x: surrogate._loss(x, start, parts, targets)[0], 1e-6)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-3)


def test_prediction_is_the_posterior_of_the_documented_covariance(space):
    surrogate, genomes = fitted(space)
    points = space.sample(15, np.random.default_rng(3))
    encoding = Encoding(space)
    n = encoding.n_kinds
    a, c, (b, noise) = np.exp(surrogate._scales[:n]), np.exp(surrogate._scales[n:-2]), np.exp(surrogate._scales[-2:])
    unique = np.unique(genomes, axis=0)
    middle = encoding(unique).mean(axis=0)

    def covariance(left, right):
        x, z = ((encoding(g) - middle)[:, None, :] for g in (left, right))
        z = z.transpose(1, 0, 2)
        near = np.sqrt((((x - z) * c[encoding.kinds]) ** 2).sum(axis=2))
        return (x * z * a[encoding.kinds] ** 2).sum(axis=2) + b**2 * _matern(near**2)[0]

    share = unique @ np.linspace(1, 2, space.n_genes)
    values = np.stack([share**0.5, np.sin(share)], axis=1)
    own = covariance(unique, unique) + (noise**2 + 1e-6) * np.eye(len(unique))
    across = covariance(points, unique)
    mean = across @ np.linalg.solve(own, values - values.mean(axis=0)) + values.mean(axis=0)
    np.testing.assert_allclose(surrogate.predict(points), mean, rtol=1e-5, atol=1e-6)
    variance = np.diag(covariance(points, points) - across @ np.linalg.solve(own, across.T))
    expected = np.sqrt(np.maximum(variance, 0))[:, None] * values.std(axis=0)
    np.testing.assert_allclose(surrogate.deviation(points), expected, atol=1e-4)


def test_matern_derivative():
    squares = np.linspace(0.1, 9, 20)
    numeric = (_matern(squares + 1e-6)[0] - _matern(squares - 1e-6)[0]) / 2e-6
    np.testing.assert_allclose(_matern(squares)[1], numeric, rtol=1e-5)


def test_better_than_rbf_where_choices_have_effects_of_their_own(space):
    """Effects of single choices that are not proportional to the gene, with absent layers."""
    rng = np.random.default_rng(0)
    genomes = space.sample_unseen(140, space.sample(0, rng), rng)
    weights = rng.normal(size=len(Encoding(space).kinds))
    values = Encoding(space)(genomes) @ weights[:, None]
    errors = []
    for surrogate in (RBF(), AdditiveGP(space=space, iterations=25, prior=2.0)):
        surrogate.fit(genomes[:60], values[:60])
        errors.append(((surrogate.predict(genomes[60:]) - values[60:]) ** 2).mean() ** 0.5)
    assert errors[1] < 0.2 * errors[0]


def test_absent_layers_have_no_choice(space):
    encoding = Encoding(space)
    small, large = encoding(np.stack([space.smallest, space.largest]))
    values = space.n_genes
    assert not small[:values].any()
    assert (large[:values] == 1).all()
    # all genes have a choice in the largest; in the smallest the second layer of both stages has none
    assert large[values:].sum() == space.n_genes
    assert small[values:].sum() == space.n_genes - 2 * 2


def test_kinds_are_names_without_their_place(space):
    encoding = Encoding(space)
    assert encoding.n_kinds == 2 * 5  # depth, kernel_size, expand_ratio, resolution, width; values and choices
    assert (np.bincount(encoding.kinds)[:5] == [2, 4, 4, 1, 1]).all()


def test_genes_with_one_choice_have_no_features():
    space = OfaSpace(n_stages=1, depths=(2,), kernel_sizes=(3,), expand_ratios=(2, 3), resolutions=(8,), widths=(1.0,))
    assert Encoding(space)(space.sample(7, np.random.default_rng(0))).shape == (7, 2 + 4)
