"""What every surrogate must do, whatever it is inside."""

import pickle

import numpy as np
import pytest

from nas.errors import UserError
from nas.space.ofa import OfaSpace
from nas.surrogate.adaptive import Adaptive
from nas.surrogate.additive_gp import AdditiveGP
from nas.surrogate.base import Surrogate
from nas.surrogate.cart import CART
from nas.surrogate.gp import GP
from nas.surrogate.mlp import MLP
from nas.surrogate.pysot_rbf import PysotRBF
from nas.surrogate.rbf import RBF
from nas.surrogate.rbf_ensemble import RBFEnsemble

SPACE = OfaSpace(
    n_stages=2, depths=(1, 2), kernel_sizes=(3, 5), expand_ratios=(2, 3, 4), resolutions=(8, 12), widths=(0.5, 1.0)
)
D = SPACE.n_genes


def rbf_ensemble() -> RBFEnsemble:
    return RBFEnsemble(members=60, seed=0, device="cpu")


def gp() -> GP:
    return GP(kernel="matern")


def mlp() -> MLP:
    return MLP(hidden=40, dropout=0.1, learning_rate=5e-3, epochs=150, held_out=0.2, seed=0, device="cpu")


def cart() -> CART:
    return CART(trees=60, seed=0)


def additive_gp(space: OfaSpace = SPACE) -> AdditiveGP:
    return AdditiveGP(space=space, iterations=15, prior=2.0)


def adaptive() -> Adaptive:
    return Adaptive(
        candidates=("rbf", "gp", "cart"),
        folds=5,
        seed=0,
        rbf=RBF,
        rbf_ensemble=rbf_ensemble,
        gp=gp,
        mlp=mlp,
        cart=cart,
        additive_gp=additive_gp,
    )


def pysot_rbf() -> Surrogate:
    try:
        return PysotRBF(space=SPACE)
    except UserError as error:
        pytest.skip(str(error))


MAKERS = [RBF, rbf_ensemble, gp, mlp, cart, additive_gp, adaptive, pysot_rbf]
every = pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__.lower())


def truth(genomes: np.ndarray) -> np.ndarray:
    """Two outputs in different units, (n, d) -> (n, 2)."""
    share = genomes / SPACE.upper @ np.linspace(1, 3, D) / np.linspace(1, 3, D).sum()
    return np.stack([30 - 10 * share**0.5, 1000 * share], axis=1)


def data(n: int = 60, k: int = 25) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    genomes = SPACE.sample_unseen(n + k, SPACE.sample(0, np.random.default_rng(0)), np.random.default_rng(0))
    return genomes[:n], truth(genomes[:n]), genomes[n:]


def fitted(make, genomes: np.ndarray, values: np.ndarray) -> Surrogate:
    surrogate = make()
    surrogate.fit(genomes, values)
    return surrogate


@every
def test_shapes_of_one_and_several_outputs(make):
    genomes, values, points = data()
    for m in (1, 2):
        surrogate = fitted(make, genomes, values[:, :m])
        for k in (1, 25):
            predicted, deviation = surrogate.predict(points[:k]), surrogate.deviation(points[:k])
            assert predicted.shape == (k, m)
            assert predicted.dtype == np.float64
            assert np.isfinite(predicted).all()
            if deviation is not None:
                assert deviation.shape == (k, m)
                assert (deviation >= 0).all()


@every
def test_covariance_of_the_first_output_fits_its_deviations(make):
    genomes, values, points = data()
    surrogate = fitted(make, genomes, values)
    deviation, covariance = surrogate.deviation(points[:25]), surrogate.covariance(points[:25])
    assert (covariance is None) == (deviation is None)
    if covariance is not None:
        np.testing.assert_allclose(np.diag(covariance), deviation[:, 0] ** 2, rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(covariance, covariance.T, atol=1e-8)
        assert np.linalg.eigvalsh(covariance).min() > -1e-6


@every
@pytest.mark.parametrize("k", [0, 1, 2])
def test_few_points_or_none(make, k):
    """What is left of a space that is nearly used up."""
    genomes, values, points = data()
    surrogate = fitted(make, genomes, values)
    assert surrogate.predict(points[:k]).shape == (k, 2)
    deviation, covariance = surrogate.deviation(points[:k]), surrogate.covariance(points[:k])
    assert (deviation is None) == (covariance is None)
    if deviation is not None and covariance is not None:
        assert (deviation.shape, covariance.shape) == ((k, 2), (k, k))


@every
def test_learns_each_output_in_its_unit(make):
    genomes, values, points = data()
    predicted = fitted(make, genomes, values).predict(points)
    error = np.sqrt(((predicted - truth(points)) ** 2).mean(axis=0)) / truth(points).std(axis=0)
    assert (error < 0.85).all(), error


@every
def test_one_point_at_a_time_is_the_same(make):
    genomes, values, points = data()
    surrogate = fitted(make, genomes, values)
    single = np.concatenate([surrogate.predict(point[None]) for point in points])
    np.testing.assert_allclose(single, surrogate.predict(points), rtol=1e-4)


@every
def test_the_same_points_give_the_same_model(make):
    genomes, values, points = data()
    first = fitted(make, genomes, values).predict(points)
    np.random.seed(3)  # nobody may look at the global generator
    again = make()
    again.fit(genomes[:40], values[:40] * 2)  # forgotten
    again.predict(points)
    again.deviation(points)
    again.fit(genomes, values)
    np.testing.assert_array_equal(again.predict(points), first)


@every
def test_the_order_of_the_points_does_not_matter(make):
    genomes, values, points = data()
    order = np.random.default_rng(1).permutation(len(genomes))
    turned = fitted(make, genomes[order], values[order]).predict(points)
    np.testing.assert_allclose(turned, fitted(make, genomes, values).predict(points), rtol=1e-9)


@every
def test_units_of_the_values_do_not_matter(make):
    genomes, values, points = data()
    plain = fitted(make, genomes, values).predict(points)
    other = (fitted(make, genomes, 5 + values / 128).predict(points) - 5) * 128
    assert (np.abs(other - plain) < 0.1 * values.std(axis=0)).all()


@every
def test_duplicates_count_once_with_their_mean(make):
    genomes, values, points = data()
    twice = fitted(make, np.vstack([genomes, genomes[:5]]), np.vstack([values + 0.0, values[:5] + 2]))
    changed = np.vstack([values[:5] + 1, values[5:]])
    np.testing.assert_allclose(twice.predict(points), fitted(make, genomes, changed).predict(points), rtol=1e-6)


@every
def test_constant_columns_and_constant_values(make):
    genomes, values, points = data()
    narrow = genomes.copy()
    narrow[:, [0, 3]] = SPACE.lower[[0, 3]]
    assert np.isfinite(fitted(make, narrow, values).predict(points)).all()
    flat = fitted(make, genomes, np.full((60, 2), 7.0)).predict(points)
    np.testing.assert_allclose(flat, 7, atol=0.2)


@every
def test_too_few_points(make):
    genomes, values, points = data()
    surrogate = make()
    needed = surrogate.minimum_points(D)
    repeated = np.tile(genomes[: needed - 1], (3, 1))
    with pytest.raises(ValueError, match=f"{surrogate.name} surrogate needs {needed} different points, got"):
        surrogate.fit(repeated, np.tile(values[: needed - 1], (3, 1)))
    surrogate.fit(genomes[: needed + 1], values[: needed + 1])
    assert np.isfinite(surrogate.predict(points)).all()


@every
def test_pickling(make):
    genomes, values, points = data()
    surrogate = fitted(make, genomes, values)
    copy = pickle.loads(pickle.dumps(surrogate))
    np.testing.assert_array_equal(copy.predict(points), surrogate.predict(points))
    assert (copy.name, copy.winner) == (surrogate.name, surrogate.winner)


@every
def test_arguments_are_left_as_they_are(make):
    genomes, values, points = data()
    copies = genomes.copy(), values.copy(), points.copy()
    fitted(make, genomes, values).predict(points)
    for array, copy in zip((genomes, values, points), copies, strict=True):
        np.testing.assert_array_equal(array, copy)
