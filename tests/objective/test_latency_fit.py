from pathlib import Path

import numpy as np
import pytest

from nas.objective.latency_fit import accuracy, calibrate, fit
from nas.objective.latency_terms import covering, terms_of
from nas.types import Floats, Genomes
from tests.small import tiny
from tests.supernet.test_attentivenas import SMALL, AttentiveNas


def test_additive_latencies_are_found_exactly() -> None:
    supernet = tiny()
    terms = terms_of(supernet.space, supernet.costs()["macs"])
    rng = np.random.default_rng(0)
    truth = [rng.uniform(1, 5, term.n_kinds) for term in terms]

    def segments(genome: Genomes) -> Floats:
        kinds = [int(term.kind(genome[None])[0]) for term in terms]
        layers = [of[kind] for term, of, kind in zip(terms, truth, kinds, strict=True) if term.is_layer and kind >= 0]
        whole = truth[0][kinds[0]]
        return np.array([0.25 * whole, *layers, 0.75 * whole])

    genomes = np.concatenate([covering(supernet.space, terms, rng) for _ in range(2)])
    whole, others = supernet.space.sample(10, rng), supernet.space.sample(20, rng)
    latencies = np.array([1.5 * segments(genome).sum() + 7 for genome in whole])
    found = fit(supernet.space.n_genes, terms, (genomes, [segments(g) for g in genomes]), (whole, latencies))
    assert (found.calibration.scale, found.calibration.offset) == pytest.approx((1.5, 7))
    np.testing.assert_allclose(found.table(others), [1.5 * segments(genome).sum() + 7 for genome in others])


def test_what_is_before_and_after_the_layers_has_terms_of_its_own(tmp_path: Path) -> None:
    supernet = AttentiveNas(cache=tmp_path, **SMALL)
    terms = terms_of(supernet.space, supernet.costs()["macs"])
    genomes = covering(supernet.space, terms, np.random.default_rng(0))
    segments = [np.array([3.0, *[1.0] * sum(int(t.kind(g[None])[0]) >= 0 for t in terms[1:-1]), 5.0]) for g in genomes]
    latencies = np.array([each.sum() for each in segments])
    found = fit(supernet.space.n_genes, terms, (genomes, segments), (genomes, latencies))
    np.testing.assert_allclose(found.values[0], 3)
    np.testing.assert_allclose(found.values[-1], 5)


def test_one_disturbed_network_does_not_matter() -> None:
    supernet = tiny(resolutions=(8,), widths=(1.0,))
    terms = terms_of(supernet.space, supernet.costs()["macs"])
    genomes = np.concatenate([covering(supernet.space, terms, np.random.default_rng(seed)) for seed in range(3)])
    n_layers = sum((term.kind(genomes) >= 0).astype(int) for term in terms if term.is_layer)
    segments = [np.ones(n + 2) for n in n_layers]
    segments[0] *= 100
    whole = (genomes, np.array([n + 2.0 for n in n_layers]))
    assert fit(supernet.space.n_genes, terms, (genomes, segments), whole).table(genomes) == pytest.approx(whole[1])


def test_calibration_minimises_relative_errors() -> None:
    sums, measured = np.array([1.0, 2.0, 30.0]), np.array([1.2, 2.0, 33.0])
    best = calibrate(sums, measured)

    def loss(scale: float, offset: float) -> float:
        return float((((scale * sums + offset) / measured - 1) ** 2).sum())

    least = loss(best.scale, best.offset)
    for step in (-0.01, 0.01):
        assert least < min(loss(best.scale + step, best.offset), loss(best.scale, best.offset + step))


def test_accuracy() -> None:
    found = accuracy(np.array([11.0, 18.0, 30.0]), np.array([10.0, 20.0, 30.0]))
    assert found.networks == 3
    assert found.mean_error == pytest.approx(20 / 3)
    assert (found.spearman, found.kendall) == (1, 1)
    assert accuracy(np.array([3.0, 2.0, 1.0]), np.array([1.0, 2.0, 3.0])).kendall == -1
