"""JSON files of the latency tables that ``task=latency_table`` measures.

Latencies are in milliseconds for a batch. Keys of a file:

- ``format`` and ``version``: Format of the file.
- ``supernet``, ``n_classes``, ``resolutions``: Supernet (its name on the command line) and its settings.
- ``measured``: Conditions of the measurement: device, hardware, torch, threads, batch size, repeats, ...
- ``calibration``: Calibration of the sum of blocks to the latency of whole networks.
- ``error``: Prediction error on networks that were not used for the table; ``held_out`` lists these networks.
- ``terms``: ``name`` of each block, names of its ``genes``, and its ``macs`` and ``ms``, with one axis for each gene.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.errors import UserError
from nas.objective.latency_terms import Term
from nas.space.base import SearchSpace
from nas.space.table import AdditiveTable, CostTable
from nas.types import Floats

FORMAT = "nas latency table"
VERSION = 1
_RESOLUTION = "resolution"
_DIGITS = 6
_PROBES = 256


def resolutions(space: SearchSpace) -> list[int]:
    """Return the choices of the input resolution of a search space, in pixels."""
    gene = space.names.index(_RESOLUTION)
    genomes = np.repeat(space.smallest[None], space.upper[gene] + 1, axis=0)
    genomes[:, gene] = np.arange(len(genomes))
    return [space.decode(genome).config["r"] for genome in genomes]


def content(space: SearchSpace, terms: Sequence[Term], values: Sequence[Floats], about: Mapping[str, Any]) -> Any:
    """Return the content of a file.

    Args:
        space: Search space of the supernet.
        terms: Cost terms of the supernet.
        values: Milliseconds of each term, in the shape of its ``macs``.
        about: All keys of the file other than ``format``, ``version``, ``resolutions`` and ``terms``.
    """
    written = [
        {
            "name": term.name,
            "genes": [space.names[gene] for gene in term.genes],
            "macs": term.macs.tolist(),
            "ms": np.round(milliseconds, _DIGITS).tolist(),
        }
        for term, milliseconds in zip(terms, values, strict=True)
    ]
    return {"format": FORMAT, "version": VERSION, **about, "resolutions": resolutions(space), "terms": written}


def table_of(
    content: Mapping[str, Any],
    path: Path,
    space: SearchSpace,
    macs: CostTable,
    n_classes: int,
) -> AdditiveTable:
    """Return the table of milliseconds in a file; the space may have fewer resolutions than the file.

    Args:
        content: Content of the file.
        path: Path of the file, for messages.
        space: Search space of the supernet.
        macs: Multiply-adds of the supernet, compared with those of the file to detect tables of other networks.
        n_classes: Number of outputs of the supernet's classifier.

    Raises:
        UserError: If the file is damaged, has another version, or does not fit the supernet or its choices.
    """
    if content.get("version") != VERSION:
        raise UserError(f"{path} has version {content.get('version')} of its format; this program reads {VERSION}")
    try:
        supernet, classes, measured = content["supernet"], content["n_classes"], list(content["resolutions"])
        terms = [(t["name"], t["genes"], np.array(t["macs"]), np.array(t["ms"], dtype=float)) for t in content["terms"]]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged: {type(error).__name__}: {error}; measure it again") from error
    if classes != n_classes:
        raise UserError(f"{path} is for {classes} classes; this run has {n_classes}: measure with classes={n_classes}")
    wanted = resolutions(space)
    lacking = sorted(set(wanted) - set(measured))
    if lacking:
        raise UserError(
            f"{path} lacks the resolutions {', '.join(map(str, lacking))}: set supernet.resolutions to some of "
            f"{measured}, or measure them with task=latency_table"
        )
    rows = [measured.index(resolution) for resolution in wanted]
    other = UserError(
        f"{path} was measured for supernet={supernet} with other choices or other blocks than this run's; "
        "measure one with task=latency_table and the same settings of the supernet"
    )
    try:
        times, counted = (_additive(space, terms, which, rows) for which in ("ms", "macs"))
    except _MismatchError as error:
        raise other from error
    if not _same(space, counted, macs):
        raise other
    return times


class _MismatchError(Exception):
    pass


def _additive(space: SearchSpace, terms: Sequence[Any], which: str, rows: Sequence[int]) -> AdditiveTable:
    selected = []
    for _, genes, macs, milliseconds in terms:
        values = milliseconds if which == "ms" else macs
        if _RESOLUTION in genes:
            values = values.take(rows, axis=genes.index(_RESOLUTION))
        if not set(genes) <= set(space.names):
            raise _MismatchError
        index = [space.names.index(gene) for gene in genes]
        if values.shape != tuple(space.upper[index] + 1):
            raise _MismatchError
        selected.append((index, values))
    return AdditiveTable(space.n_genes, selected, [name for name, *_ in terms])


def _same(space: SearchSpace, one: CostTable, two: CostTable) -> bool:
    """Return whether two tables have the same terms, compared on a sample of genomes."""
    random = space.sample(_PROBES, np.random.default_rng(0))
    genomes = np.concatenate([random, space.smallest[None], space.largest[None]])
    parts, others = one.parts(genomes), two.parts(genomes)
    return parts.keys() == others.keys() and all((parts[name] == others[name]).all() for name in parts)
