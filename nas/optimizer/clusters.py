"""Clusters of a population in objective space, all of one size, some of them at the ends of the front."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas.types import Floats

_ROUNDS = 50  # of k-means, which nearly always stops sooner


@dataclass(frozen=True)
class Clusters:
    """A population's clusters.

    Attributes:
        members: Rows of the population in each cluster, shape (k, c); an individual may be in several, or in none.
        of: The cluster that each individual takes its donors from, shape (n,).
        extreme: The one objective that each cluster improves; -1 for those that improve all, shape (k,).
    """

    members: npt.NDArray[np.int64]
    of: npt.NDArray[np.int64]
    extreme: npt.NDArray[np.int64]


def cluster(objectives: Floats, k: int, rng: np.random.Generator) -> Clusters:
    """Divide a population by its objectives, shape (n, m), into k balanced clusters.

    Balanced k-leader means (Luong et al. 2014, section 3.2): k-means from leaders that lie far apart, then the
    2 n / k individuals nearest to each mean. For each objective one cluster is extreme: the one with the best mean.
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
    """Return k rows that lie far apart: the largest in one objective, then always the farthest from all before."""
    leaders = [int(np.argmax(points[:, rng.integers(points.shape[1])]))]
    distances = _distances(points, points[leaders])[:, 0]
    for _ in range(1, k):
        leaders.append(int(np.argmax(distances)))
        distances = np.minimum(distances, _distances(points, points[leaders[-1:]])[:, 0])
    return leaders


def _k_means(points: Floats, means: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return means, (k, m), and the index of the nearest for each point, (n,)."""
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
