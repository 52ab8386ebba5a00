"""Radial basis function interpolation by pySOT, for comparisons."""

import importlib
import warnings
from typing import Any, final

import numpy as np

from nas.errors import UserError
from nas.space.base import SearchSpace
from nas.surrogate.base import Surrogate
from nas.types import Floats, Genomes


@final
class PysotRBF(Surrogate):
    """``RBFInterpolant`` of pySOT with a cubic kernel and a linear tail, as in NSGANetV2's published code.

    Each output has its own interpolant. Repeated genomes count once, with their mean value. ``surrogate=rbf`` makes the
    same predictions without pySOT.

    Example:
        >>> from nas.surrogate.pysot_rbf import PysotRBF
        >>> PysotRBF.name  # a surrogate can be made only if pySOT is installed
        'pysot_rbf'
    """

    name = "pysot_rbf"

    def __init__(self, *, space: SearchSpace) -> None:
        """Import pySOT.

        Args:
            space: Search space.

        Raises:
            UserError: If pySOT is not installed or does not work with this version of Python.
        """
        self._space = space
        _pysot()

    def minimum_points(self, n_genes: int) -> int:
        """Return d + 1, the number of coefficients of the linear tail."""
        return n_genes + 1

    def fit(self, genomes: Genomes, values: Floats) -> None:
        """Interpolate the values, (n, m), of genomes, (n, d).

        Genes that never vary are left out: the factorization of pySOT fails with them.

        Raises:
            ValueError: If there are fewer than d + 1 different genomes.
        """
        points, means = self.different(genomes, values)
        self._used = np.flatnonzero((points != points[0]).any(axis=0))
        self._models = [self._interpolant(points[:, self._used].astype(np.float64), column) for column in means.T]

    def predict(self, genomes: Genomes) -> Floats:
        """Return predicted values, (k, d) -> (k, m)."""
        points = genomes[:, self._used].astype(np.float64)
        return np.concatenate([model.predict(points) for model in self._models], axis=1)

    def _interpolant(self, points: Floats, values: Floats) -> Any:
        pysot = _pysot()
        d = len(self._used)
        model = pysot.RBFInterpolant(
            dim=d,
            lb=np.zeros(d),  # pySOT scales genes by their bounds; unit bounds keep them unscaled
            ub=np.ones(d),
            kernel=pysot.CubicKernel(),
            tail=pysot.LinearTail(d),
        )
        model.add_points(points, values[:, None])
        return model


def _pysot() -> Any:
    try:
        with warnings.catch_warnings():  # its dependencies use deprecated functions
            warnings.simplefilter("ignore")
            return importlib.import_module("pySOT.surrogate")
    except ImportError as error:
        raise UserError(
            f"surrogate=pysot_rbf needs pySOT, which works on Python 3.11 alone ({error}): pip install pySOT six "
            "there, or use surrogate=rbf, which predicts the same"
        ) from error
