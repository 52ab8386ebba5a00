"""From times of networks and their blocks to a table, and how well a table predicts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau, spearmanr

from nas.objective.latency_terms import ABSENT, Term
from nas.space.table import AdditiveTable
from nas.types import Floats, Genomes


@dataclass(frozen=True)
class Calibration:
    """What turns the sum of a network's blocks into its latency: ``scale * sum + offset``, in milliseconds."""

    scale: float
    offset: float


@dataclass(frozen=True)
class Fit:
    """A table that was made from measurements.

    Attributes:
        values: Milliseconds of each term, calibrated, shaped as its ``macs``.
        calibration: Calibration that the values include.
        table: The same values.
    """

    values: list[Floats]
    calibration: Calibration
    table: AdditiveTable


def fit(n_genes: int, terms: Sequence[Term], parts: tuple[Genomes, list[Floats]], whole: tuple[Genomes, Floats]) -> Fit:
    """Make a table: medians of the networks that hold a block, then a calibration to whole networks.

    Args:
        n_genes: The genomes' length, d.
        terms: Cost terms of the supernet.
        parts: Canonical genomes, (n, d), that hold every kind of block, and of each the milliseconds before its
            layers, of each layer, and after them.
        whole: Canonical genomes, (k, d), k at least 2, and their latencies in milliseconds, (k,).
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
    """Return the milliseconds of each kind of each term."""
    found: list[list[list[float]]] = [[[] for _ in range(term.n_kinds)] for term in terms]
    kinds = np.array([term.kind(genomes) for term in terms]).T
    for network, times in zip(kinds, segments, strict=True):
        for t, milliseconds in _shares(terms, network, times).items():
            found[t][network[t]].append(milliseconds)
    return [np.array([np.median(times) for times in of_term]) for of_term in found]


def _shares(terms: Sequence[Term], kinds: Genomes, times: Floats) -> dict[int, float]:
    """Return, by the index of each term that is there, its share of a network's time."""
    there = [t for t, term in enumerate(terms) if term.is_layer and kinds[t] != ABSENT]
    shares = dict(zip(there, times[1:-1].tolist(), strict=True))
    ends = [t for t, term in enumerate(terms) if not term.is_layer]
    shares |= dict.fromkeys(ends, 0.0)
    shares[ends[0]] += float(times[0])
    shares[ends[-1]] += float(times[-1])
    return shares


def calibrate(sums: Floats, measured: Floats) -> Calibration:
    """Return the calibration with the least squares of relative errors.

    Args:
        sums: Sums of the blocks of each network, milliseconds, shape (n,), n at least 2.
        measured: Latencies of the whole networks, milliseconds, shape (n,).
    """
    design = np.column_stack([sums / measured, 1 / measured])
    scale, offset = np.linalg.lstsq(design, np.ones(len(measured)), rcond=None)[0]
    return Calibration(float(scale), float(offset))


@dataclass(frozen=True)
class FitAccuracy:
    """How well latencies of networks are predicted.

    Attributes:
        networks: Number of networks.
        mean_error: Mean absolute error relative to the measured latency, percent.
        spearman, kendall: Rank correlations.
    """

    networks: int
    mean_error: float
    spearman: float
    kendall: float


def accuracy(predicted: Floats, measured: Floats) -> FitAccuracy:
    """Compare predicted and measured latencies, both in milliseconds, shape (n,)."""
    return FitAccuracy(
        networks=len(measured),
        mean_error=float(100 * np.mean(np.abs(predicted - measured) / measured)),
        spearman=float(spearmanr(predicted, measured).statistic),
        kendall=float(kendalltau(predicted, measured).statistic),
    )
