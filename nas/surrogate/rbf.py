"""Radial basis function interpolation with a cubic kernel and a linear tail."""

from typing import final

import numpy as np
from scipy.linalg import lapack, lstsq
from scipy.spatial.distance import cdist

from nas.surrogate.base import Surrogate
from nas.types import Floats, Genomes

_ETA = 1e-6
"""Added to the kernel matrix's diagonal, as pySOT does."""


@final
class RBF(Surrogate):
    """Cubic RBF interpolant: s(x) = sum_j c_j |x - x_j|^3 + l_0 + l.x (NSGANetV2, section 3.2).

    Works on the integer genes as they are, as the published code does. Equal to pySOT's ``RBFInterpolant`` with
    ``CubicKernel`` and ``LinearTail`` where that is defined. Genomes that occur several times count once, with
    their mean value; where the linear tail is not determined (a gene that never varies), the solution of least
    norm is taken, so that such a gene has no influence.
    """

    name = "rbf"

    def minimum_points(self, n_genes: int) -> int:
        """Return d + 1: the linear tail has that many coefficients."""
        return n_genes + 1

    def fit(self, genomes: Genomes, values: Floats) -> None:
        """Interpolate the values, (n, d) and (n, m); ValueError below d + 1 different points."""
        centers, means = self.different(genomes, values)
        self._centers = centers.astype(np.float64)
        tail = _tail(self._centers)
        kernel = cdist(self._centers, self._centers) ** 3 + _ETA * np.eye(len(centers))
        size = tail.shape[1]
        system = np.block([[np.zeros((size, size)), tail.T], [tail, kernel]])
        self._coefficients = _solve(system, np.concatenate([np.zeros((size, means.shape[1])), means]))

    def predict(self, genomes: Genomes) -> Floats:
        """Predict values, (k, d) -> (k, m)."""
        points = genomes.astype(np.float64)
        features = np.hstack([_tail(points), cdist(points, self._centers) ** 3])
        predicted: Floats = features @ self._coefficients
        return predicted


def _tail(points: Floats) -> Floats:
    return np.hstack([np.ones((len(points), 1)), points])


def _solve(system: Floats, right: Floats) -> Floats:
    """Solve a symmetric system; where it is singular in double precision, for the solution of least norm.

    Not through ``scipy.linalg.solve``: to hear of a bad condition from it takes a filter of warnings, and these are
    shared by all threads.
    """
    work = int(lapack.dsytrf_lwork(len(system), lower=1)[0])
    factor, pivots, failed = lapack.dsytrf(system, lower=1, lwork=work)
    size = np.abs(system).sum(axis=0).max()
    if failed or lapack.dsycon(factor, pivots, size, lower=1)[0] < np.finfo(np.float64).eps:
        solution: Floats = lstsq(system, right)[0]
        return solution
    solved: Floats = lapack.dsytrs(factor, pivots, right, lower=1)[0]
    return solved
