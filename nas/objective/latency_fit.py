"""Fit of latency tables to measured times of networks and blocks, and their prediction accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau, spearmanr

from nas.objective.latency_terms import ABSENT, Term
from nas.space.table import AdditiveTable
from nas.types import Floats, Genomes


@dataclass(frozen=True)
class Calibration:
    """Linear map from the sum of a network's blocks to its latency: ``scale * sum + offset``, in milliseconds.

    Attributes:
        scale: Factor of the sum.
        offset: Constant in milliseconds.
    """

    scale: float
    offset: float


@dataclass(frozen=True)
class Fit:
    """Latency table fitted to measurements.

    Attributes:
        values: Calibrated milliseconds of each term, in the shape of its ``macs``.
        calibration: Calibration that ``values`` include.
        table: Cost table of the same values.
    """

    values: list[Floats]
    calibration: Calibration
    table: AdditiveTable


def fit(n_genes: int, terms: Sequence[Term], parts: tuple[Genomes, list[Floats]], whole: tuple[Genomes, Floats]) -> Fit:
    """Fit a table: the median time of each block over networks, then a calibration to whole networks.

    Args:
        n_genes: Length of the genomes, d.
        terms: Cost terms of the supernet.
        parts: Canonical genomes, shape (n, d), that contain every kind of block, and for each genome the milliseconds
            before its layers, of each layer, and after its layers.
        whole: Canonical genomes, shape (k, d), k at least 2, and their latencies in milliseconds, shape (k,).
    """
    sums = [term.values(kinds) for term, kinds in zip(terms, _medians(terms, *parts), strict=True)]
    calibration = calibrate(_additive(n_genes, terms, sums)(whole[0]), whole[1])
    values = [calibration.scale * each for each in sums]
    everywhere = next(t for t, term in enumerate(terms) if not term.is_layer)
    values[everywhere] = values[everywhere] + calibration.offset
    return Fit(values, calibration, _additive(n_genes, terms, values))


def _additive(n_genes: int, terms: Sequence[Term], values: Sequence[Floats]) -> AdditiveTable:
    return AdditiveTable(n_genes, [(term.genes, each) for term, each in zip(terms, values, strict=True)])


def _medians(terms: Sequence[Term], genomes: Genomes, segments: list[Floats]) -> list[Floats]:
    """Return the median milliseconds of each kind of each term."""
    found: list[list[list[float]]] = [[[] for _ in range(term.n_kinds)] for term in terms]
    kinds = np.array([term.kind(genomes) for term in terms]).T
    for network, times in zip(kinds, segments, strict=True):
        for t, milliseconds in _shares(terms, network, times).items():
            found[t][network[t]].append(milliseconds)
    return [np.array([np.median(times) for times in of_term]) for of_term in found]


def _shares(terms: Sequence[Term], kinds: Genomes, times: Floats) -> dict[int, float]:
    """Return the milliseconds of each present term of a network, by the index of the term."""
    there = [t for t, term in enumerate(terms) if term.is_layer and kinds[t] != ABSENT]
    shares = dict(zip(there, times[1:-1].tolist(), strict=True))
    ends = [t for t, term in enumerate(terms) if not term.is_layer]
    shares |= dict.fromkeys(ends, 0.0)
    shares[ends[0]] += float(times[0])
    shares[ends[-1]] += float(times[-1])
    return shares


def calibrate(sums: Floats, measured: Floats) -> Calibration:
    """Return the calibration with the smallest sum of squared relative errors.

    Args:
        sums: Sum of the blocks of each network in milliseconds, shape (n,), n at least 2.
        measured: Latencies of the whole networks in milliseconds, shape (n,).

    Example:
        >>> found = calibrate(np.array([1.0, 2.0, 4.0]), np.array([2.5, 4.5, 8.5]))
        >>> round(found.scale, 3), round(found.offset, 3)
        (2.0, 0.5)
    """
    design = np.column_stack([sums / measured, 1 / measured])
    scale, offset = np.linalg.lstsq(design, np.ones(len(measured)), rcond=None)[0]
    return Calibration(float(scale), float(offset))


@dataclass(frozen=True)
class FitAccuracy:
    """Accuracy of predicted latencies.

    Attributes:
        networks: Number of networks.
        mean_error: Mean absolute error relative to the measured latency, in percent.
        spearman, kendall: Rank correlations, -1 to 1.
    """

    networks: int
    mean_error: float
    spearman: float
    kendall: float


def accuracy(predicted: Floats, measured: Floats) -> FitAccuracy:
    """Compare predicted and measured latencies, both in milliseconds, shape (n,).

    Example:
        >>> found = accuracy(np.array([1.1, 2.2, 3.3]), np.array([1.0, 2.0, 3.0]))
        >>> round(found.mean_error, 3), round(found.kendall, 3)
        (10.0, 1.0)
    """
    return FitAccuracy(
        networks=len(measured),
        mean_error=float(100 * np.mean(np.abs(predicted - measured) / measured)),
        spearman=float(spearmanr(predicted, measured).statistic),
        kendall=float(kendalltau(predicted, measured).statistic),
    )
