"""Ensemble of radial basis function interpolants, each on a random subset of the genes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nas.surrogate.base import Surrogate
from nas.types import Floats, Genomes, NonNegativeInt, PositiveInt

_ETA = 1e-6
"""Value that is added to the diagonals of the kernel matrices, as in pySOT."""
_RANK = 1e-10
"""Smallest variance of a used direction of the linear tail, as a share of the largest variance."""
_BATCH = 25
"""Number of interpolants that are fitted or evaluated together on the CPU; ten times as many on a GPU."""
_CELLS = 500_000
"""Number of kernel values in memory during predictions on the CPU; a hundred times as many on a GPU."""


@dataclass(frozen=True)
class _Members:
    """Batch of b interpolants on at most f genes and u points; smaller interpolants are padded with zeros.

    Attributes:
        genes: Indices of the genes, shape (b, f), padded with d.
        centers: Points in the form of ``_to_centers``, which gives squared distances by one product, (b, f + 2, u).
        weights: Kernel weights of the points, shape (b, u, m).
        tails: Intercepts and slopes of the linear tails, shape (b, 1 + f, m).
    """

    genes: Tensor
    centers: Tensor
    weights: Tensor
    tails: Tensor


@final
class RBFEnsemble(Surrogate):
    """Median of cubic RBF interpolants on random subsets of the genes (NAT, Lu et al. 2021, section 3.3).

    As in the published code, the size of a subset is uniform from 1 to the number of genes. A subset is drawn again
    unless it has more different points on its genes than genes. Points that are equal on these genes count once, with
    their mean value. Genes that never vary are in no subset. The subsets depend on ``seed`` and the points only.

    Predictions are computed in single precision, in which distances between integers are exact. Points may also be real
    numbers, for example predictions of other surrogates. Everything is then computed in double precision.

    Example:
        >>> from nas.surrogate.rbf_ensemble import RBFEnsemble
        >>> genomes = np.array([[0, 0], [0, 3], [1, 2], [2, 0], [3, 1], [3, 3]])
        >>> surrogate = RBFEnsemble(members=20, device="cpu")
        >>> surrogate.fit(genomes, 2.0 * genomes[:, :1] + genomes[:, 1:])
        >>> surrogate.predict(genomes).shape, surrogate.deviation(genomes).shape
        ((6, 1), (6, 1))
    """

    name = "rbf_ensemble"

    def __init__(self, *, members: PositiveInt = 500, seed: NonNegativeInt = 0, device: str) -> None:
        """Set the size of the ensemble and its device.

        Args:
            members: Number of interpolants (published: 500).
            seed: Seed of the random subsets of genes.
            device: Torch device of the computation, for example ``"cuda:0"``.
        """
        self._n_members = members
        self._seed = seed
        self._device = torch.device(device)
        on_gpu = self._device.type != "cpu"
        self._batch = _BATCH * (10 if on_gpu else 1)
        self._cells = _CELLS * (100 if on_gpu else 1)

    def fit(self, genomes: Genomes | Floats, values: Floats) -> None:
        """Interpolate the values, (n, m), of genomes or other points, (n, d).

        Raises:
            ValueError: If there are fewer than two different genomes.
        """
        points, means = self.different(genomes, values)
        whole = np.issubdtype(points.dtype, np.integer)
        self._precision = torch.float32 if whole else torch.float64
        self._center, self._scale = means.mean(axis=0), np.maximum(means.std(axis=0), 1e-300)
        drawn = list(self._draw(points, (means - self._center) / self._scale))
        drawn.sort(key=lambda member: (len(member[1]), len(member[0])))
        batches = [drawn[start : start + self._batch] for start in range(0, len(drawn), self._batch)]
        self._members = [self._solve(batch, points.shape[1]) for batch in batches]

    def predict(self, genomes: Genomes | Floats) -> Floats:
        """Return predicted values, the medians of the members' predictions, (k, d) -> (k, m)."""
        median: Floats = np.median(self._predictions(genomes), axis=1) * self._scale + self._center
        return median

    def deviation(self, genomes: Genomes | Floats) -> Floats:
        """Return half the width of the central 68 % of the members' predictions, (k, d) -> (k, m)."""
        low, high = np.quantile(self._predictions(genomes), [0.159, 0.841], axis=1)
        half: Floats = (high - low) / 2 * self._scale
        return half

    def _draw(
        self, points: Genomes | Floats, values: Floats
    ) -> Iterator[tuple[npt.NDArray[np.int64], Genomes | Floats, Floats]]:
        """Yield each member's genes, (f,), the different points on them, (u, f), and their mean values, (u, m)."""
        rng = np.random.default_rng(self._seed)
        factors: npt.NDArray[np.int64] = rng.integers(1, 2**62, size=(points.shape[1],))
        varying = np.flatnonzero((points != points[0]).any(axis=0))
        codes = _codes(points)
        for _ in range(self._n_members):
            while True:
                genes = rng.permutation(varying)[: rng.integers(1, len(varying), endpoint=True)]
                first, means = _different(codes[:, genes], values, factors[genes])
                if len(first) > len(genes):
                    break
            yield genes, points[first][:, genes], means

    def _solve(self, drawn: list[tuple[npt.NDArray[np.int64], Genomes | Floats, Floats]], n_genes: int) -> _Members:
        """Fit members of similar sizes together, padded to the same size with zeros.

        Args:
            drawn: Genes, points and values of each member, as :meth:`_draw` yields them.
            n_genes: Number of genes, d.
        """
        b, m = len(drawn), drawn[0][2].shape[1]
        f, u = max(len(genes) for genes, _, _ in drawn), max(len(centers) for _, centers, _ in drawn)
        genes, centers = np.full((b, f), n_genes), np.zeros((b, u, f))
        present, right = np.zeros((b, u, 1)), np.zeros((b, u, m))
        for i, (own, points, values) in enumerate(drawn):
            genes[i, : len(own)] = own
            centers[i, : len(points), : len(own)] = points
            present[i, : len(points)] = 1
            right[i, : len(points)] = values
        arrays = [torch.tensor(array, device=self._device) for array in (centers, present, right)]
        weights, tails = _interpolate(*arrays)
        return _Members(
            genes=torch.tensor(genes, device=self._device),
            centers=_to_centers(arrays[0].to(self._precision)),
            weights=weights.to(self._precision),
            tails=tails.to(self._precision),
        )

    def _predictions(self, genomes: Genomes | Floats) -> npt.NDArray[np.floating]:
        """Return the standardized predictions of the members, (k, d) -> (k, members, m)."""
        padded = np.concatenate([genomes, np.zeros((len(genomes), 1), dtype=genomes.dtype)], axis=1)
        points = torch.tensor(padded, device=self._device, dtype=self._precision)
        found = []
        for members in self._members:
            b, _, u = members.centers.shape
            rows = max(1, self._cells // (b * u))
            parts = [_evaluate(members, part) for part in torch.split(points, rows)]
            found.append(torch.cat(parts, dim=1))
        predictions: npt.NDArray[np.floating] = torch.cat(found).transpose(0, 1).contiguous().cpu().numpy()
        return predictions


def _codes(points: Genomes | Floats) -> Genomes:
    """Return integer codes, (u, d), of points, (u, d), that are equal exactly if a gene's values are equal."""
    if np.issubdtype(points.dtype, np.integer):
        return points.astype(np.int64, copy=False)
    return np.stack([np.unique(column, return_inverse=True)[1].ravel() for column in points.T], axis=1)


def _different(codes: Genomes, values: Floats, factors: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the first index of each different row, and the mean values of these rows.

    The result is that of ``unique_rows`` in another order. It is ten times as fast because rows are compared by a hash.

    Args:
        codes: Integer codes of the points on the genes of a member, shape (n, f).
        values: Values of the points, shape (n, m).
        factors: Factors of the hash, shape (f,).
    """
    hashes = (codes * factors).sum(axis=1)
    _, first, inverse, counts = np.unique(hashes, return_index=True, return_inverse=True, return_counts=True)
    if not np.array_equal(codes[first][inverse], codes):
        _, first, inverse, counts = np.unique(codes, axis=0, return_index=True, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(inverse.ravel(), column) for column in values.T], axis=1)
    return first, sums / counts[:, None]


def _interpolate(centers: Tensor, present: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights of the kernels, (b, u, m), and the coefficients of the linear tails, (b, 1 + f, m).

    The weights are orthogonal to the space that the linear tail spans. The kernel matrix is positive definite on the
    orthogonal complement. Therefore that space is projected out of the matrix, and a Cholesky factorization solves the
    rest. If the tail is not unique, its coefficients are those of least norm.

    Args:
        centers: Points, shape (b, u, f), double precision.
        present: Mask with 1 for points and 0 for padded rows, shape (b, u, 1).
        values: Values of the points, shape (b, u, m), 0 in padded rows.
    """
    middle = centers.sum(dim=1, keepdim=True) / present.sum(dim=1, keepdim=True)
    tail = torch.cat([present, (centers - middle) * present], dim=2)
    sizes, axes = torch.linalg.eigh(tail.transpose(1, 2) @ tail)
    used = sizes > _RANK * sizes[:, -1:]
    axes = axes * (used / torch.where(used, sizes, 1.0).sqrt()).unsqueeze(1)
    span = tail @ axes  # columns are orthonormal, or zero
    kernel = _cubes(_to_points(centers), _to_centers(centers)) * present * present.transpose(1, 2)
    kernel.diagonal(dim1=1, dim2=2).add_(_ETA)
    across = kernel @ span
    along = span.transpose(1, 2) @ across + torch.eye(span.shape[2], dtype=span.dtype, device=span.device)
    free = torch.baddbmm(kernel, span, along @ span.transpose(1, 2) - across.transpose(1, 2))
    free = torch.baddbmm(free, across, span.transpose(1, 2), alpha=-1)
    right = values - span @ (span.transpose(1, 2) @ values)
    weights = torch.cholesky_solve(right, torch.linalg.cholesky(free))
    coefficients = axes @ (span.transpose(1, 2) @ (values - kernel @ weights))
    coefficients[:, :1] -= middle @ coefficients[:, 1:]
    return weights, coefficients


def _evaluate(members: _Members, points: Tensor) -> Tensor:
    """Return the predictions of the members, (k, d + 1) -> (b, k, m); the last column of ``points`` is zero padding."""
    own = points[:, members.genes].transpose(0, 1)
    linear = torch.baddbmm(members.tails[:, :1], own, members.tails[:, 1:])
    return torch.baddbmm(linear, _cubes(_to_points(own), members.centers), members.weights)


def _to_points(points: Tensor) -> Tensor:
    """Return the columns x, 1 and |x|^2 of points x, (b, k, f) -> (b, k, f + 2)."""
    return torch.cat([points, torch.ones_like(points[:, :, :1]), (points * points).sum(dim=2, keepdim=True)], dim=2)


def _to_centers(centers: Tensor) -> Tensor:
    """Return the rows -2 z, |z|^2 and 1 of points z, (b, u, f) -> (b, f + 2, u)."""
    lengths = (centers * centers).sum(dim=2, keepdim=True)
    return torch.cat([-2 * centers, lengths, torch.ones_like(lengths)], dim=2).transpose(1, 2).contiguous()


def _cubes(points: Tensor, centers: Tensor) -> Tensor:
    """Return the cubes of the distances between points, (b, k, f + 2) and (b, f + 2, u) -> (b, k, u)."""
    squares = points @ centers
    if squares.dtype == torch.float64:
        squares.clamp_(min=0)  # rounding may make distances of almost equal real points negative
    return squares.sqrt().mul_(squares)
