"""pySOT's radial basis functions, to compare with."""

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
    """pySOT's ``RBFInterpolant`` with cubic kernel and linear tail, as NSGANetV2's published code uses it.

    One interpolant for each output. Genomes that occur several times count once, with their mean value.
    ``surrogate=rbf`` predicts the same without the package.
    """

    name = "pysot_rbf"

    def __init__(self, *, space: SearchSpace) -> None:
        """Find the package.

        Raises:
            UserError: If pySOT is not installed or does not work with this version of Python.
        """
        self._space = space
        _pysot()

    def minimum_points(self, n_genes: int) -> int:
        """Return d + 1: the linear tail has that many coefficients."""
        return n_genes + 1

    def fit(self, genomes: Genomes, values: Floats) -> None:
        """Interpolate the values, (n, d) and (n, m); ValueError below d + 1 different points.

        pySOT's own factorisation has no answer for a gene that never varies; such genes are left out.
        """
        points, means = self.different(genomes, values)
        self._used = np.flatnonzero((points != points[0]).any(axis=0))
        self._models = [self._interpolant(points[:, self._used].astype(np.float64), column) for column in means.T]

    def predict(self, genomes: Genomes) -> Floats:
        """Predict values, (k, d) -> (k, m)."""
        points = genomes[:, self._used].astype(np.float64)
        return np.concatenate([model.predict(points) for model in self._models], axis=1)

    def _interpolant(self, points: Floats, values: Floats) -> Any:
        pysot = _pysot()
        d = len(self._used)
        model = pysot.RBFInterpolant(
            dim=d,
            lb=np.zeros(d),  # unit bounds leave the genes as they are: pySOT would scale them
            ub=np.ones(d),
            kernel=pysot.CubicKernel(),
            tail=pysot.LinearTail(d),
        )
        model.add_points(points, values[:, None])
        return model


def _pysot() -> Any:
    try:
        with warnings.catch_warnings():  # its dependencies use what Python is about to remove
            warnings.simplefilter("ignore")
            return importlib.import_module("pySOT.surrogate")
    except ImportError as error:
        raise UserError(
            f"surrogate=pysot_rbf needs pySOT, which works on Python 3.11 alone ({error}): pip install pySOT six "
            "there, or use surrogate=rbf, which predicts the same"
        ) from error
