"""Clusters of a population in objective space, all of the same size, some of them at the ends of the front."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas.types import Floats

_ROUNDS = 50  # maximum number of k-means iterations; k-means nearly always converges earlier


@dataclass(frozen=True)
class Clusters:
    """Clusters of a population.

    Attributes:
        members: Rows of the population in each cluster, shape (k, c). An individual may be in several clusters, or in
            none.
        of: Index of the cluster that provides the donors of each individual, shape (n,).
        extreme: Index of the only objective that a cluster improves, shape (k,); -1 for clusters that improve all
            objectives.
    """

    members: npt.NDArray[np.int64]
    of: npt.NDArray[np.int64]
    extreme: npt.NDArray[np.int64]


def cluster(objectives: Floats, k: int, rng: np.random.Generator) -> Clusters:
    """Divide a population into k balanced clusters by its objectives.

    Balanced k-leader means (Luong et al. 2014, section 3.2): k-means starts from leaders that lie far apart. Each
    cluster then consists of the 2 n / k individuals nearest to its mean. For each objective one cluster is extreme: the
    one with the best mean.

    Args:
        objectives: Objectives of the population, shape (n, m).
        k: Number of clusters.
        rng: Random generator, the only source of randomness.
    """
    n, m = objectives.shape
    if k == 1:
        return Clusters(np.arange(n)[None], np.zeros(n, dtype=np.int64), np.full(1, -1))
    span = np.ptp(objectives, axis=0)
    points = objectives / np.where(span > 0, span, 1.0)
    means, nearest = _k_means(points, points[_leaders(points, k, rng)])
    distances = _distances(points, means)
    own = nearest[:, None] == np.arange(k)
    members = np.lexsort((distances, ~own), axis=0)[: max(2 * n // k, 1)].T
    means = points[members].mean(axis=1)
    extreme = np.full(k, -1)
    for objective in rng.permutation(m)[:k]:
        free = np.flatnonzero(extreme < 0)
        extreme[free[np.argmin(means[free, objective])]] = objective
    inside = np.zeros((n, k), dtype=bool)
    inside[members, np.arange(k)[:, None]] = True
    drawn = np.argmax(inside * (1.0 - rng.random((n, k))), axis=1)
    outside = ~inside.any(axis=1)
    drawn[outside] = np.argmin(_distances(points[outside], means), axis=1)
    return Clusters(members, drawn, extreme)


def _leaders(points: Floats, k: int, rng: np.random.Generator) -> list[int]:
    """Return k rows that lie far apart: the largest in a random objective, then each time the farthest from these."""
    leaders = [int(np.argmax(points[:, rng.integers(points.shape[1])]))]
    distances = _distances(points, points[leaders])[:, 0]
    for _ in range(1, k):
        leaders.append(int(np.argmax(distances)))
        distances = np.minimum(distances, _distances(points, points[leaders[-1:]])[:, 0])
    return leaders


def _k_means(points: Floats, means: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return the means, (k, m), and the index of the nearest mean for each point, (n,)."""
    k = len(means)
    nearest = np.argmin(_distances(points, means), axis=1)
    for _ in range(_ROUNDS):
        counts = np.bincount(nearest, minlength=k)
        sums = np.column_stack([np.bincount(nearest, weights=column, minlength=k) for column in points.T])
        means = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], means)
        before, nearest = nearest, np.argmin(_distances(points, means), axis=1)
        if np.array_equal(before, nearest):
            break
    return means, nearest


def _distances(points: Floats, means: Floats) -> Floats:
    """Return squared Euclidean distances, (n, m) and (k, m) -> (n, k)."""
    result: Floats = np.zeros((len(points), len(means)))
    for i in range(points.shape[1]):
        result += (points[:, i, None] - means[:, i]) ** 2
    return result
