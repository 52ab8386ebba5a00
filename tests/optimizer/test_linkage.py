import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from nas.optimizer.linkage import LinkageTrees


def test_similarity_is_mutual_information_over_joint_entropy():
    rng = np.random.default_rng(0)
    lower, upper = np.array([0, 5, -2, 3]), np.array([1, 9, 100, 3])
    genomes = rng.integers(lower, upper, size=(60, 4), endpoint=True)
    genomes[:, 1] = 5 + 2 * genomes[:, 0] + rng.integers(0, 2, 60)
    similarity = LinkageTrees(lower, upper).similarity(genomes)
    for i in range(4):
        for j in range(i):
            pairs = genomes[:, i] * 1000 + genomes[:, j]
            joint = mutual_info_score(pairs, pairs)
            expected = mutual_info_score(genomes[:, i], genomes[:, j]) / joint
            assert similarity[i, j] == similarity[j, i] == pytest.approx(expected, abs=1e-12)


def test_genes_that_go_together_are_joined_first():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (40, 3))
    genomes = bits[:, [0, 1, 2, 0, 1, 2]]
    masks = LinkageTrees(np.zeros(6, dtype=int), np.ones(6, dtype=int)).learn(genomes, rng)
    sets = {tuple(np.flatnonzero(mask)) for mask in masks}
    assert len(masks) == 10
    assert {(i,) for i in range(6)} | {(0, 3), (1, 4), (2, 5)} < sets
    assert (0, 1, 2, 3, 4, 5) not in sets


def test_ties_are_broken_at_random():
    trees = LinkageTrees(np.zeros(5, dtype=int), np.ones(5, dtype=int))
    genomes = np.zeros((4, 5), dtype=int)
    learned = {trees.learn(genomes, np.random.default_rng(seed)).tobytes() for seed in range(10)}
    assert len(learned) > 1


def test_one_gene_is_one_set():
    trees = LinkageTrees(np.zeros(1, dtype=int), np.ones(1, dtype=int))
    assert trees.learn(np.zeros((3, 1), dtype=int), np.random.default_rng(0)).tolist() == [[True]]
    assert trees.n_sets == 1
