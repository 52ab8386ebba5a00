"""Radial basis function interpolation with a cubic kernel and a linear tail."""

from typing import final

import numpy as np
from scipy.linalg import lapack, lstsq
from scipy.spatial.distance import cdist

from nas.surrogate.base import Surrogate
from nas.types import Floats, Genomes

_ETA = 1e-6
"""Value that is added to the diagonal of the kernel matrix, as in pySOT."""


@final
class RBF(Surrogate):
    """Cubic RBF interpolant: s(x) = sum_j c_j |x - x_j|^3 + l_0 + l.x (NSGANetV2, section 3.2).

    As in the published code, the inputs are the integer genes without scaling. Predictions equal those of pySOT's
    ``RBFInterpolant`` with ``CubicKernel`` and ``LinearTail`` wherever these are defined. Repeated genomes count once,
    with their mean value. If the linear tail is not unique, for example because a gene never varies, the solution of
    least norm is used; such a gene then has no influence.

    Example:
        >>> from nas.surrogate.rbf import RBF
        >>> genomes = np.array([[0, 0], [0, 3], [1, 2], [2, 0], [3, 1], [3, 3]])
        >>> surrogate = RBF()
        >>> surrogate.fit(genomes, 2.0 * genomes[:, :1] + genomes[:, 1:])
        >>> surrogate.predict(np.array([[2, 2]])).round(2)
        array([[6.]])
    """

    name = "rbf"

    def minimum_points(self, n_genes: int) -> int:
        """Return d + 1, the number of coefficients of the linear tail."""
        return n_genes + 1

    def fit(self, genomes: Genomes, values: Floats) -> None:
        """Interpolate the values, (n, m), of genomes, (n, d).

        Raises:
            ValueError: If there are fewer than d + 1 different genomes.
        """
        centers, means = self.different(genomes, values)
        self._centers = centers.astype(np.float64)
        tail = _tail(self._centers)
        kernel = cdist(self._centers, self._centers) ** 3 + _ETA * np.eye(len(centers))
        size = tail.shape[1]
        system = np.block([[np.zeros((size, size)), tail.T], [tail, kernel]])
        self._coefficients = _solve(system, np.concatenate([np.zeros((size, means.shape[1])), means]))

    def predict(self, genomes: Genomes) -> Floats:
        """Return predicted values, (k, d) -> (k, m)."""
        points = genomes.astype(np.float64)
        features = np.hstack([_tail(points), cdist(points, self._centers) ** 3])
        predicted: Floats = features @ self._coefficients
        return predicted


def _tail(points: Floats) -> Floats:
    return np.hstack([np.ones((len(points), 1)), points])


def _solve(system: Floats, right: Floats) -> Floats:
    """Solve a symmetric system; return the solution of least norm if it is singular in double precision.

    ``scipy.linalg.solve`` is not used: it reports a bad condition by a warning only, and filters of warnings are shared
    by all threads.
    """
    work = int(lapack.dsytrf_lwork(len(system), lower=1)[0])
    factor, pivots, failed = lapack.dsytrf(system, lower=1, lwork=work)
    size = np.abs(system).sum(axis=0).max()
    if failed or lapack.dsycon(factor, pivots, size, lower=1)[0] < np.finfo(np.float64).eps:
        solution: Floats = lstsq(system, right)[0]
        return solution
    solved: Floats = lapack.dsytrs(factor, pivots, right, lower=1)[0]
    return solved
