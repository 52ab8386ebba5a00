"""Gaussian process regression through scikit-learn."""

import warnings
from typing import Literal, final

import numpy as np
from scipy.optimize import minimize
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, Kernel, Matern, WhiteKernel

from nas.surrogate.base import Surrogate
from nas.types import Floats, Genomes

_SIZES = (1e-3, 1e3)
_LENGTHS = (0.1, 1e3)
_NOISES = (1e-6, 1.0)


@final
class GP(Surrogate):
    """A Gaussian process on the integer genes (NSGANetV2, section 3.2), its kernel fitted by marginal likelihood.

    The kernel is stationary with one length for all genes, or that and a linear one, each with its size, and noise.
    The start of the fit is fixed, and there is one: the result depends on the points alone. Outputs share a kernel.
    """

    name = "gp"

    def __init__(self, *, kernel: Literal["gauss", "matern", "linear_gauss", "linear_matern"] = "matern") -> None:
        """Choose the kernel.

        Args:
            kernel: Kernel: Gaussian, or Matern of order 5/2; ``linear_`` adds a linear kernel.
        """
        self._kernel = kernel

    def fit(self, genomes: Genomes, values: Floats) -> None:
        """Fit to values, (n, d) and (n, m); ValueError below two different points."""
        known = self.standardised(genomes, values)
        points, targets, self._center, self._scale = known.points, known.targets, known.center, known.scale
        self._middle = points.mean(axis=0)
        features = points - self._middle
        length = max(float(np.sqrt((features**2).sum(axis=1).mean())), 0.1)
        kernel = _kernel(self._kernel, length)
        # Fitted here, as scikit-learn does it but for its warnings, whose filters are shared by all threads.
        model = GaussianProcessRegressor(kernel, optimizer=None).fit(features, targets)
        found = minimize(
            lambda theta: [-part for part in model.log_marginal_likelihood(theta, True, clone_kernel=False)],
            kernel.theta,
            jac=True,
            method="L-BFGS-B",
            bounds=kernel.bounds,
        )
        best = kernel.clone_with_theta(found.x)
        self._model = GaussianProcessRegressor(best, optimizer=None).fit(features, targets)

    def predict(self, genomes: Genomes) -> Floats:
        """Predict values, (k, d) -> (k, m)."""
        if len(genomes) == 0:  # scikit-learn refuses to predict nothing
            return np.zeros((0, len(self._scale)))
        standard = self._model.predict(genomes - self._middle).reshape(len(genomes), -1)
        predicted: Floats = standard * self._scale + self._center
        return predicted

    def deviation(self, genomes: Genomes) -> Floats:
        """Return the standard deviations of the predictions, (k, d) -> (k, m)."""
        if len(genomes) == 0:
            return np.zeros((0, len(self._scale)))
        with warnings.catch_warnings():  # variances that rounding makes negative are set to zero
            warnings.simplefilter("ignore", UserWarning)
            _, standard = self._model.predict(genomes - self._middle, return_std=True)
        deviation: Floats = standard.reshape(len(genomes), -1) * self._scale
        return deviation

    def covariance(self, genomes: Genomes) -> Floats:
        """Return the covariances of the first output's predictions, (k, d) -> (k, k)."""
        if len(genomes) == 0:
            return np.zeros((0, 0))
        _, standard = self._model.predict(genomes - self._middle, return_cov=True)
        covariance: Floats = standard.reshape(len(genomes), len(genomes), -1)[:, :, 0] * self._scale[0] ** 2
        return covariance


def _kernel(name: str, length: float) -> Kernel:
    """Return a kernel that begins with the points' root mean square distance from their middle as its length."""
    form = RBF(length, _LENGTHS) if name.endswith("gauss") else Matern(length, _LENGTHS, nu=2.5)
    kernel = ConstantKernel(1.0, _SIZES) * form + WhiteKernel(1e-2, _NOISES)
    if name.startswith("linear"):
        kernel += ConstantKernel(1 / length**2, (1e-6, 1e3)) * DotProduct(0, "fixed")
    return kernel
