import numpy as np
import pytest

from nas.optimizer.clusters import cluster


def test_clusters_are_balanced_and_everybody_has_one():
    rng = np.random.default_rng(0)
    objectives = rng.random((60, 2)) ** 3 * [1, 1000]
    clusters = cluster(objectives, 5, rng)
    assert clusters.members.shape == (5, 24)
    assert all(len(set(rows)) == 24 for rows in clusters.members)
    for i, k in enumerate(clusters.of):
        within = [i in rows for rows in clusters.members]
        assert within[k] or not any(within)


def test_extreme_clusters_hold_the_best_of_each_objective():
    line = np.linspace(0, 1, 40)
    clusters = cluster(np.column_stack([line, 1 - line]), 4, np.random.default_rng(0))
    assert sorted(clusters.extreme) == [-1, -1, 0, 1]
    assert 0 in clusters.members[list(clusters.extreme).index(0)]
    assert 39 in clusters.members[list(clusters.extreme).index(1)]


def test_separate_groups_are_found():
    rng = np.random.default_rng(3)
    centres = np.array([[0, 10], [5, 5], [10, 0]])
    group = np.repeat([0, 1, 2], 20)
    clusters = cluster(centres[group] + rng.random((60, 2)), 3, rng)
    found = {tuple(np.bincount(group[rows[:20]], minlength=3)) for rows in clusters.members}
    assert found == {(20, 0, 0), (0, 20, 0), (0, 0, 20)}


@pytest.mark.parametrize(("n", "k"), [(8, 3), (3, 5), (1, 3), (10, 1)])
def test_few_or_equal_individuals(n, k):
    clusters = cluster(np.ones((n, 2)), k, np.random.default_rng(0))
    assert clusters.members.shape[0] == k
    assert ((clusters.of >= 0) & (clusters.of < k)).all()
    assert (clusters.members < n).all()
