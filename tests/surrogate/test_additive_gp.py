import numpy as np
from scipy.optimize import approx_fprime

from nas.surrogate.additive_gp import AdditiveGP, _matern
from nas.surrogate.encoding import Encoding
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
