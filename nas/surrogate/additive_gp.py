"""Gaussian process surrogate with additive effects of single choices and a smooth interaction of all choices."""

from typing import final

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, cholesky, lapack, solve_triangular
from scipy.optimize import minimize

from nas.space.base import SearchSpace
from nas.surrogate.base import Surrogate
from nas.types import Floats, Genomes, NonNegativeInt, PositiveFloat

_NOISE = 1e-6
"""Smallest variance of the noise, in units of the values' variance."""
_START_NOISE = -4.0
"""Logarithm of the noise's standard deviation at the start of the fit, in units of the values' standard deviation."""
_FARTHER = 0.5
"""Factor of the inverse length scales of the interaction at the start of the fit; below 1 for longer scales."""


@final
class AdditiveGP(Surrogate):
    """Gaussian process regression on features that encode which genes are expressed (see :class:`Encoding`).

    The covariance of x and z is a sum over the kinds k of features (all depths, all kernel sizes, ...)

        sum_k a_k^2 x_k.z_k  +  b^2 Matern52(sqrt(sum_k c_k^2 |x_k - z_k|^2))  +  noise

    The first term is a linear model with an effect for each value and each choice of each gene. Effects of one kind
    have the same prior variance. The second term models interactions of choices. The logarithms of a, b, c and the
    noise maximize the marginal likelihood (Rasmussen & Williams 2006, eq. 5.8 and 5.9) with a normal prior. The prior
    is centered on scales at which each term alone explains all of the values. All outputs share the scales.

    Example:
        >>> from nas.space.integer import IntegerSpace
        >>> from nas.surrogate.additive_gp import AdditiveGP
        >>> genomes = np.array([[0, 0], [0, 3], [1, 2], [2, 0], [3, 1], [3, 3]])
        >>> surrogate = AdditiveGP(space=IntegerSpace([0, 0], [3, 3]))
        >>> surrogate.fit(genomes, 2.0 * genomes[:, :1] + genomes[:, 1:])
        >>> surrogate.predict(genomes).shape, surrogate.covariance(genomes).shape
        ((6, 1), (6, 6))
    """

    name = "additive_gp"

    def __init__(self, *, space: SearchSpace, iterations: NonNegativeInt = 25, prior: PositiveFloat = 2.0) -> None:
        """Set the encoding and the fit of the scales.

        Args:
            space: Search space, which determines the features.
            iterations: Maximum number of L-BFGS iterations in the fit of the scales, 0 or more.
            prior: Standard deviation of the normal prior of the scales' logarithms, above 0.
        """
        self._encoding = Encoding(space)
        self._iterations = iterations
        self._prior = prior

    def fit(self, genomes: Genomes, values: Floats) -> None:
        """Fit the scales and condition the process on the values, (n, m), of genomes, (n, d).

        Raises:
            ValueError: If there are fewer than two different genomes.
        """
        known = self.standardised(genomes, values)
        targets, self._center, self._scale = known.targets, known.center, known.scale
        features = self._encoding(known.points)
        self._middle = features.mean(axis=0)
        self._features = features - self._middle
        parts = self._parts(self._features, self._features)
        start = self._start()
        found = minimize(
            self._loss,
            start,
            (start, parts, targets),
            jac=True,
            method="L-BFGS-B",
            bounds=[(value - 8, value + 8) for value in start],
            options={"maxiter": self._iterations},
        )
        self._scales: Floats = found.x
        covariance = self._covariance(self._scales, parts)[0]
        covariance[np.diag_indices_from(covariance)] += self._noise(self._scales)
        self._asked = genomes[:0], (np.zeros((0, len(known.points))), np.zeros(0))
        self._factor = cholesky(covariance, lower=True)
        self._weights = cho_solve((self._factor, True), targets)

    def predict(self, genomes: Genomes) -> Floats:
        """Return predicted values, (k, d) -> (k, m)."""
        predicted: Floats = self._across(genomes)[0] @ self._weights * self._scale + self._center
        return predicted

    def deviation(self, genomes: Genomes) -> Floats:
        """Return the standard deviations of the predictions, without noise, (k, d) -> (k, m)."""
        across, own = self._across(genomes)
        explained = solve_triangular(self._factor, across.T, lower=True)
        deviation: Floats = np.sqrt(np.maximum(own - (explained**2).sum(axis=0), 0))[:, None] * self._scale
        return deviation

    def covariance(self, genomes: Genomes) -> Floats:
        """Return the covariance of the first output's predictions, without noise, (k, d) -> (k, k)."""
        features = self._encoding(genomes) - self._middle
        prior = self._covariance(self._scales, self._parts(features, features))[0]
        explained = solve_triangular(self._factor, self._across(genomes)[0].T, lower=True)
        covariance: Floats = (prior - explained.T @ explained) * self._scale[0] ** 2
        return covariance

    def _across(self, genomes: Genomes) -> tuple[Floats, Floats]:
        """Return the prior covariances of genomes, (k, d), with the fitted points, (k, n), and prior variances, (k,).

        The results for the last genomes are cached.
        """
        if not np.array_equal(genomes, self._asked[0]):
            self._asked = genomes.copy(), self._computed(genomes)
        return self._asked[1]

    def _computed(self, genomes: Genomes) -> tuple[Floats, Floats]:
        features = self._encoding(genomes) - self._middle
        linear, reach, size, _ = _split(self._scales, self._encoding.n_kinds)
        kinds = self._encoding.kinds
        gram = (features * np.exp(2 * linear)[kinds]) @ self._features.T
        near = np.exp(reach)[kinds]
        squares = _squares(features * near, self._features * near)
        own = (features**2) @ np.exp(2 * linear)[kinds] + np.exp(2 * size)
        return gram + np.exp(2 * size) * _matern(squares)[0], own

    def _parts(self, left: Floats, right: Floats) -> tuple[Floats, Floats]:
        """Return the inner products and the squared distances in the features of each kind, both (kinds, n, n)."""
        columns = [self._encoding.kinds == kind for kind in range(self._encoding.n_kinds)]
        products = np.array([left[:, used] @ right[:, used].T for used in columns])
        squares = np.array([_squares(left[:, used], right[:, used]) for used in columns])
        return products, squares

    def _start(self) -> Floats:
        """Return the initial logarithms of the scales, at which the features have a mean squared length of 1."""
        length = -0.5 * np.log(max((self._features**2).sum(axis=1).mean(), 1e-12))
        n = self._encoding.n_kinds
        return np.concatenate([np.full(n, length), np.full(n, length + np.log(_FARTHER)), [0.0, _START_NOISE]])

    def _noise(self, scales: Floats) -> float:
        return float(np.exp(2 * scales[-1]) + _NOISE)

    def _covariance(self, scales: Floats, parts: tuple[Floats, Floats]) -> tuple[Floats, Floats, Floats]:
        """Return the covariance without noise, its Matern term, and the term's derivative by the squared distance."""
        linear, reach, size, _ = _split(scales, self._encoding.n_kinds)
        matern, slope = _matern(np.tensordot(np.exp(2 * reach), parts[1], 1))
        matern *= np.exp(2 * size)
        slope *= np.exp(2 * size)
        return np.tensordot(np.exp(2 * linear), parts[0], 1) + matern, matern, slope

    def _loss(
        self, scales: Floats, start: Floats, parts: tuple[Floats, Floats], targets: Floats
    ) -> tuple[float, Floats]:
        """Return the negative log posterior of the scales, up to a constant, and its gradient."""
        linear, reach, _, noise = _split(scales, self._encoding.n_kinds)
        covariance, matern, slope = self._covariance(scales, parts)
        covariance[np.diag_indices_from(covariance)] += self._noise(scales)
        factor = cholesky(covariance, lower=True)
        weights = cho_solve((factor, True), targets)
        inverse = lapack.dpotri(factor, lower=1)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        n_outputs = targets.shape[1]
        loss = 0.5 * (targets * weights).sum() + n_outputs * np.log(np.diag(factor)).sum()
        by_covariance = 0.5 * (n_outputs * inverse - weights @ weights.T)
        gradient = np.concatenate(
            [
                2 * np.exp(2 * linear) * np.tensordot(parts[0], by_covariance, 2),
                2 * np.exp(2 * reach) * np.tensordot(parts[1], by_covariance * slope, 2),
                [2 * (by_covariance * matern).sum(), 2 * np.exp(2 * noise) * np.trace(by_covariance)],
            ]
        )
        away = (scales - start) / self._prior
        return float(loss + 0.5 * (away**2).sum()), gradient + away / self._prior


def _split(scales: Floats, n_kinds: int) -> tuple[Floats, Floats, float, float]:
    """Return the logarithms of a and c, (kinds,) each, of b, and of the noise's standard deviation."""
    return scales[:n_kinds], scales[n_kinds:-2], float(scales[-2]), float(scales[-1])


def _squares(left: Floats, right: Floats) -> Floats:
    lengths = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)
    squares: Floats = np.maximum(lengths - 2 * left @ right.T, 0)
    return squares


def _matern(squares: Floats) -> tuple[Floats, npt.NDArray[np.float64]]:
    """Return the Matern 5/2 correlation at squared distances, and its derivative by the squared distances."""
    scaled = np.sqrt(5 * squares)
    decay = np.exp(-scaled)
    return (1 + scaled + scaled**2 / 3) * decay, -5 / 6 * (1 + scaled) * decay


class Encoding:
    """Encoding of canonical genomes as features: the value of each gene, scaled to 0 to 1, and its choice, one-hot.

    A gene is expressed if another choice of it makes another architecture. A gene that is not expressed has the value 0
    and no choice. An absent layer therefore differs from a layer with the smallest choice.

    Attributes:
        kinds: Kind of each feature, shape (f,). Genes whose names differ only in the place, such as
            ``stage0.layer1.kernel_size`` and ``stage3.layer0.kernel_size``, are of the same kind. Values and choices
            are of different kinds.
        n_kinds: Number of kinds.

    Example:
        >>> from nas.space.integer import IntegerSpace
        >>> Encoding(IntegerSpace([0, 0], [1, 2]))(np.array([[1, 1]]))
        array([[1. , 0.5, 0. , 1. , 0. , 1. , 0. ]])
    """

    def __init__(self, space: SearchSpace) -> None:
        """Set the features of a search space; genes with a single choice have none.

        Args:
            space: Search space.
        """
        self._space = space
        self._genes = np.flatnonzero(space.upper > space.lower)
        lengths = (space.upper - space.lower + 1)[self._genes]
        self._columns = np.repeat(self._genes, lengths)
        self._levels = np.concatenate(
            [np.arange(space.lower[gene], space.upper[gene] + 1) for gene in self._genes] or [self._genes]
        )
        names = [name.rpartition(".")[2].rstrip("0123456789") for name in space.names]
        ranks = {name: rank for rank, name in enumerate(dict.fromkeys(names[gene] for gene in self._genes))}
        kind = np.array([ranks.get(name, 0) for name in names], dtype=np.int64)
        self.kinds = np.concatenate([kind[self._genes], kind[self._columns] + len(ranks)])
        self.n_kinds = 2 * len(ranks)

    def __call__(self, genomes: Genomes) -> Floats:
        """Return the features of canonical genomes, (n, d) -> (n, f)."""
        lower, upper = self._space.lower[self._genes], self._space.upper[self._genes]
        values = (genomes[:, self._genes] - lower) / (upper - lower)
        chosen = (genomes[:, self._columns] == self._levels) & self._space.expressed(genomes)[:, self._columns]
        return np.concatenate([values, chosen], axis=1)
