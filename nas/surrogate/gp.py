"""Gaussian process surrogate through scikit-learn."""

import warnings
from typing import Literal, final

import numpy as np
from scipy.optimize import minimize
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, Kernel, Matern, WhiteKernel

from nas.surrogate.base import Surrogate
from nas.types import Floats, Genomes

_SIZES = (1e-3, 1e3)
"""Bounds of the kernel's variance, in units of the values' variance."""
_LENGTHS = (0.1, 1e3)
"""Bounds of the length scale, in units of the genes."""
_NOISES = (1e-6, 1.0)
"""Bounds of the noise variance, in units of the values' variance."""


@final
class GP(Surrogate):
    """Gaussian process on the integer genes (NSGANetV2, section 3.2); the marginal likelihood determines the kernel.

    The kernel is the sum of a stationary kernel with one length scale for all genes, noise, and optionally a linear
    kernel. Each of them has its own variance. The fit has a single, fixed start, so that the result depends on the
    points only. All outputs share a kernel.

    Example:
        >>> from nas.surrogate.gp import GP
        >>> genomes = np.array([[0, 0], [0, 3], [1, 2], [2, 0], [3, 1], [3, 3]])
        >>> surrogate = GP(kernel="linear_gauss")
        >>> surrogate.fit(genomes, 2.0 * genomes[:, :1] + genomes[:, 1:])
        >>> surrogate.predict(np.array([[2, 2]])).round(1), surrogate.deviation(np.array([[2, 2]])).shape
        (array([[6.]]), (1, 1))
    """

    name = "gp"

    def __init__(self, *, kernel: Literal["gauss", "matern", "linear_gauss", "linear_matern"] = "matern") -> None:
        """Choose the kernel.

        Args:
            kernel: Kernel, ``gauss`` or ``matern`` (Matern 5/2); with the prefix ``linear_`` a linear kernel is added.
        """
        self._kernel = kernel

    def fit(self, genomes: Genomes, values: Floats) -> None:
        """Fit the kernel and the process to the values, (n, m), of genomes, (n, d).

        Raises:
            ValueError: If there are fewer than two different genomes.
        """
        known = self.standardised(genomes, values)
        points, targets, self._center, self._scale = known.points, known.targets, known.center, known.scale
        self._middle = points.mean(axis=0)
        features = points - self._middle
        length = max(float(np.sqrt((features**2).sum(axis=1).mean())), 0.1)
        kernel = _kernel(self._kernel, length)
        # The fit is the one of scikit-learn, but without its warnings: filters of warnings are shared by all threads.
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
        """Return predicted values, (k, d) -> (k, m)."""
        if len(genomes) == 0:  # scikit-learn does not accept empty arrays
            return np.zeros((0, len(self._scale)))
        standard = self._model.predict(genomes - self._middle).reshape(len(genomes), -1)
        predicted: Floats = standard * self._scale + self._center
        return predicted

    def deviation(self, genomes: Genomes) -> Floats:
        """Return the standard deviations of the predictions, (k, d) -> (k, m)."""
        if len(genomes) == 0:
            return np.zeros((0, len(self._scale)))
        with warnings.catch_warnings():  # scikit-learn sets variances that are negative by rounding to 0, and warns
            warnings.simplefilter("ignore", UserWarning)
            _, standard = self._model.predict(genomes - self._middle, return_std=True)
        deviation: Floats = standard.reshape(len(genomes), -1) * self._scale
        return deviation

    def covariance(self, genomes: Genomes) -> Floats:
        """Return the covariance of the first output's predictions, (k, d) -> (k, k)."""
        if len(genomes) == 0:
            return np.zeros((0, 0))
        _, standard = self._model.predict(genomes - self._middle, return_cov=True)
        covariance: Floats = standard.reshape(len(genomes), len(genomes), -1)[:, :, 0] * self._scale[0] ** 2
        return covariance


def _kernel(name: str, length: float) -> Kernel:
    """Return the kernel at the start of the fit.

    Args:
        name: Name of the kernel, see :class:`GP`.
        length: Initial length scale: the root mean square distance of the points from their mean.
    """
    form = RBF(length, _LENGTHS) if name.endswith("gauss") else Matern(length, _LENGTHS, nu=2.5)
    kernel = ConstantKernel(1.0, _SIZES) * form + WhiteKernel(1e-2, _NOISES)
    if name.startswith("linear"):
        kernel += ConstantKernel(1 / length**2, (1e-6, 1e3)) * DotProduct(0, "fixed")
    return kernel
