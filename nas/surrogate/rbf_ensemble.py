"""The median of many radial basis function interpolants, each on a random subset of the genes."""

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
"""Added to the kernel matrices' diagonals, as pySOT does."""
_RANK = 1e-10
"""Directions of the linear tail that vary less than this share of the largest one (squared) are left out."""
_BATCH = 25
"""Interpolants that are fitted or predicted together on the CPU; on a GPU ten times as many."""
_CELLS = 500_000
"""Kernel values that are in memory together when predicting on the CPU; on a GPU a hundred times as many."""


@dataclass(frozen=True)
class _Members:
    """Interpolants on ``f`` genes and ``u`` points at most; what is missing is filled up with zeros.

    Attributes:
        genes: Indices of genes, (b, f), d where there are fewer.
        centers: Points z in the form that gives squared distances in one product, see ``_to_centers``, (b, f + 2, u).
        weights: Kernel weights at each point, (b, u, m).
        tails: Intercepts and slopes, (b, 1 + f, m).
    """

    genes: Tensor
    centers: Tensor
    weights: Tensor
    tails: Tensor


@final
class RBFEnsemble(Surrogate):
    """The median of cubic RBF interpolants on random subsets of the genes (NAT, Lu et al. 2021, section 3.3).

    As in the published code, a subset's size is uniform from 1 to the number of genes, and a subset is drawn again
    unless there are more different points on its genes than it has genes. Points that are equal on them count once,
    with their mean value; genes that never vary are in no subset. The subsets depend on ``seed`` and the points
    alone. Distances are between integers, thus exact in single precision, in which predictions are computed. Points may
    also be real numbers, as where a surrogate is fitted to what others predict: then all is in double precision.
    """

    name = "rbf_ensemble"

    def __init__(self, *, members: PositiveInt = 500, seed: NonNegativeInt = 0, device: str) -> None:
        """Set the size.

        Args:
            members: Number of interpolants (published: 500).
            seed: Seed of the random subsets.
            device: Torch device of the computation.
        """
        self._n_members = members
        self._seed = seed
        self._device = torch.device(device)
        on_gpu = self._device.type != "cpu"
        self._batch = _BATCH * (10 if on_gpu else 1)
        self._cells = _CELLS * (100 if on_gpu else 1)

    def fit(self, genomes: Genomes | Floats, values: Floats) -> None:
        """Interpolate the values, (n, d) and (n, m); ValueError below two different points."""
        points, means = self.different(genomes, values)
        whole = np.issubdtype(points.dtype, np.integer)
        self._precision = torch.float32 if whole else torch.float64
        self._center, self._scale = means.mean(axis=0), np.maximum(means.std(axis=0), 1e-300)
        drawn = list(self._draw(points, (means - self._center) / self._scale))
        drawn.sort(key=lambda member: (len(member[1]), len(member[0])))
        batches = [drawn[start : start + self._batch] for start in range(0, len(drawn), self._batch)]
        self._members = [self._solve(batch, points.shape[1]) for batch in batches]

    def predict(self, genomes: Genomes | Floats) -> Floats:
        """Predict values, (k, d) -> (k, m): the median of the members."""
        median: Floats = np.median(self._predictions(genomes), axis=1) * self._scale + self._center
        return median

    def deviation(self, genomes: Genomes | Floats) -> Floats:
        """Return half the width of the members' central 68 %, (k, d) -> (k, m)."""
        low, high = np.quantile(self._predictions(genomes), [0.159, 0.841], axis=1)
        half: Floats = (high - low) / 2 * self._scale
        return half

    def _draw(
        self, points: Genomes | Floats, values: Floats
    ) -> Iterator[tuple[npt.NDArray[np.int64], Genomes | Floats, Floats]]:
        """Yield each member's genes, (f,), different points on them, (u, f), and their mean values, (u, m)."""
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
        """Fit members of similar sizes; the rows and columns that fill them up to one size are zero."""
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
        """Return what each member predicts, standardised, (k, d) -> (k, members, m)."""
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
    """Return integers that are equal where points are, gene by gene, (u, d)."""
    if np.issubdtype(points.dtype, np.integer):
        return points.astype(np.int64, copy=False)
    return np.stack([np.unique(column, return_inverse=True)[1].ravel() for column in points.T], axis=1)


def _different(codes: Genomes, values: Floats, factors: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return where the different rows of ``codes``, (u, f), come up, and the mean values, (u, m), of each.

    This is what ``unique_rows`` does, in any order and ten times as fast: rows are told apart by a hash.
    """
    hashes = (codes * factors).sum(axis=1)
    _, first, inverse, counts = np.unique(hashes, return_index=True, return_inverse=True, return_counts=True)
    if not np.array_equal(codes[first][inverse], codes):
        _, first, inverse, counts = np.unique(codes, axis=0, return_index=True, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(inverse.ravel(), column) for column in values.T], axis=1)
    return first, sums / counts[:, None]


def _interpolate(centers: Tensor, present: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the kernels' weights, (b, u, m), and the tails' coefficients, (b, 1 + f, m).

    The weights are orthogonal to the tail, where the kernel matrix is positive definite: what the tail spans is
    projected out of it, and a Cholesky factorisation solves the rest. Where the tail is not determined, its
    coefficients are the smallest.

    Args:
        centers: (b, u, f), double precision.
        present: One for points and zero for rows that fill up, (b, u, 1).
        values: Zero in rows that fill up, (b, u, m).
    """
    middle = centers.sum(dim=1, keepdim=True) / present.sum(dim=1, keepdim=True)
    tail = torch.cat([present, (centers - middle) * present], dim=2)
    sizes, axes = torch.linalg.eigh(tail.transpose(1, 2) @ tail)
    used = sizes > _RANK * sizes[:, -1:]
    axes = axes * (used / torch.where(used, sizes, 1.0).sqrt()).unsqueeze(1)
    span = tail @ axes  # orthonormal columns, and zeros
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
    """Return the members' predictions, (k, d + 1) -> (b, k, m); the last column of ``points`` is zero."""
    own = points[:, members.genes].transpose(0, 1)
    linear = torch.baddbmm(members.tails[:, :1], own, members.tails[:, 1:])
    return torch.baddbmm(linear, _cubes(_to_points(own), members.centers), members.weights)


def _to_points(points: Tensor) -> Tensor:
    """Return x, 1 and |x|^2 of points x, (b, k, f) -> (b, k, f + 2)."""
    return torch.cat([points, torch.ones_like(points[:, :, :1]), (points * points).sum(dim=2, keepdim=True)], dim=2)


def _to_centers(centers: Tensor) -> Tensor:
    """Return -2 z, |z|^2 and 1 of points z, (b, u, f) -> (b, f + 2, u)."""
    lengths = (centers * centers).sum(dim=2, keepdim=True)
    return torch.cat([-2 * centers, lengths, torch.ones_like(lengths)], dim=2).transpose(1, 2).contiguous()


def _cubes(points: Tensor, centers: Tensor) -> Tensor:
    """Return the cubes of the distances between points, (b, k, f + 2) and (b, f + 2, u) -> (b, k, u)."""
    squares = points @ centers
    if squares.dtype == torch.float64:
        squares.clamp_(min=0)  # of real numbers that are almost equal they may be a little less
    return squares.sqrt().mul_(squares)
