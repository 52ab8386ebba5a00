import numpy as np
import pytest
import torch

from nas.surrogate.base import unique_rows
from nas.surrogate.rbf import RBF
from nas.surrogate.rbf_ensemble import RBFEnsemble


def data(n=80, d=9):
    rng = np.random.default_rng(0)
    genomes = rng.integers(0, 3, size=(n, d))
    return genomes, rng.normal(20, 3, size=(n, 2)), rng.integers(0, 3, size=(30, d))


def test_is_the_median_of_interpolants_on_the_drawn_subsets():
    genomes, values, points = data()
    surrogate = RBFEnsemble(members=31, seed=5, device="cpu")
    surrogate.fit(genomes, values)
    unique, means = unique_rows(genomes, values)
    predictions, sizes = [], []
    for genes, _, _ in surrogate._draw(unique, means):
        single = RBF()
        single.fit(unique[:, genes], means)
        predictions.append(single.predict(points[:, genes]))
        sizes.append(len(genes))
    np.testing.assert_allclose(surrogate.predict(points), np.median(predictions, axis=0), atol=2e-3)
    low, high = np.quantile(predictions, [0.159, 0.841], axis=0)
    np.testing.assert_allclose(surrogate.deviation(points), (high - low) / 2, atol=2e-3)
    assert {1, 9} <= set(sizes) <= set(range(1, 10))


def test_subsets_differ_by_seed_and_leave_out_genes_that_never_vary():
    genomes, values, _ = data()
    genomes[:, 4] = 2
    drawn = [
        [tuple(genes) for genes, _, _ in RBFEnsemble(members=20, seed=seed, device="cpu")._draw(genomes, values)]
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(4 not in genes for genes in drawn[0])


def test_genes_that_say_the_same_leave_the_tail_undetermined():
    genomes, values, points = data()
    genomes[:, 1], points[:, 1] = genomes[:, 0], points[:, 0]
    surrogate = RBFEnsemble(members=40, seed=0, device="cpu")
    surrogate.fit(genomes, values)
    assert np.abs(surrogate.predict(points) - 20).max() < 15


def test_real_numbers_are_interpolated_as_they_are():
    rng = np.random.default_rng(0)
    inputs, points = rng.random((80, 4)), rng.random((30, 4))
    inputs[:5] = inputs[5:10]  # equal rows count once, with their mean
    values = np.stack([inputs.sum(axis=1), (inputs**2).sum(axis=1)], axis=1)
    surrogate = RBFEnsemble(members=31, seed=5, device="cpu")
    surrogate.fit(inputs, values)
    unique, means = unique_rows(inputs, values)
    predictions = []
    for genes, _, _ in surrogate._draw(unique, means):
        single = RBF()
        single.fit(unique[:, genes], means)
        predictions.append(single.predict(points[:, genes]))
    np.testing.assert_allclose(surrogate.predict(points), np.median(predictions, axis=0), atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_and_cpu_agree():
    genomes, values, points = data()
    predicted = []
    for device in ("cpu", "cuda"):
        surrogate = RBFEnsemble(members=100, seed=0, device=device)
        surrogate.fit(genomes, values)
        predicted.append(surrogate.predict(points))
    np.testing.assert_allclose(predicted[0], predicted[1], atol=2e-3)
