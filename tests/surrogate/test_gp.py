import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor

from nas.surrogate.gp import GP, _kernel


def data():
    rng = np.random.default_rng(0)
    genomes = np.unique(rng.integers(0, 3, size=(60, 6)), axis=0)
    values = 20 + genomes @ np.linspace(1, 2, 6)[:, None] + 0.3 * rng.normal(size=(len(genomes), 1))
    return genomes, values, rng.integers(0, 3, size=(30, 6))


@pytest.mark.parametrize("kernel", ["gauss", "matern", "linear_gauss", "linear_matern"])
@pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)
def test_equals_scikit_learns_own_fit(kernel):
    genomes, values, points = data()
    surrogate = GP(kernel=kernel)
    surrogate.fit(genomes, values)
    features = genomes - genomes.mean(axis=0)
    length = np.sqrt((features**2).sum(axis=1).mean())
    standard = (values - values.mean()) / values.std()
    reference = GaussianProcessRegressor(_kernel(kernel, length)).fit(features, standard)
    mean, deviation = reference.predict(points - genomes.mean(axis=0), return_std=True)
    np.testing.assert_allclose(surrogate.predict(points)[:, 0], mean * values.std() + values.mean(), rtol=1e-3)
    np.testing.assert_allclose(surrogate.deviation(points)[:, 0], deviation * values.std(), rtol=2e-2)


def test_is_less_certain_far_from_what_it_saw():
    genomes, values, _ = data()
    surrogate = GP(kernel="matern")
    surrogate.fit(genomes, values)
    assert surrogate.deviation(genomes[:1] + 30)[0, 0] > 2 * surrogate.deviation(genomes[:1])[0, 0]
