"""Exact costs of OFA's networks as additive tables."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nas.space.ofa import OfaSpace
from nas.space.table import AdditiveTable, CostTable
from nas.supernet.ofa_mobile import MobileSubnets

Measure = Literal["macs", "params"]
MEASURES: tuple[Measure, ...] = ("macs", "params")

Axis = tuple[int | None, Sequence[Any]]
"""A gene and its choices; no gene where there is one choice alone."""

Choice = tuple[Any, ...]
"""One choice of each axis."""


def term(axes: Sequence[Axis], cost: Callable[[Choice], int]) -> tuple[list[int], npt.NDArray[np.int64]]:
    """Build a term of an additive table."""
    values = [cost(choice) for choice in product(*(choices for _, choices in axes))]
    shape = [len(choices) for gene, choices in axes if gene is not None]
    return [gene for gene, _ in axes if gene is not None], np.array(values, dtype=np.int64).reshape(shape)


def mobile_tables(
    space: OfaSpace, subnets: Sequence[MobileSubnets], n_genes: int, last: tuple[Axis, Axis] | None
) -> Mapping[str, CostTable]:
    """Return the tables of ``"macs"`` and ``"params"`` of networks of inverted residuals.

    Args:
        space: the stages of elastic depth; their genes are the genome's first ones.
        subnets: of each of its widths.
        n_genes: the genome's length.
        last: kernel size and expansion of the layer that follows these stages, where there is one.
    """
    width: Axis = (space.width_gene, subnets)
    tables = {}
    for measure in MEASURES:
        # Parameters do not depend on the resolution: any one will do.
        side: Axis = (space.resolution_gene, space.resolutions) if measure == "macs" else (None, space.resolutions[:1])
        terms = [term([side, width], partial(_ends, measure))]
        names = ["stem, features, classifier"]
        for stage, layer in product(range(space.n_stages), range(space.max_depth)):
            depth: Axis = (space.depth_gene(stage), space.depths)
            kernel: Axis = (space.kernel_gene(stage, layer), space.kernel_sizes)
            expand: Axis = (space.expand_gene(stage, layer), space.expand_ratios)
            terms.append(term([depth, kernel, expand, side, width], partial(_layer, measure, stage, layer)))
            names.append(f"stage{stage + 1}.layer{layer + 1}")
        if last is not None:
            terms.append(term([(None, (1,)), *last, side, width], partial(_layer, measure, space.n_stages, 0)))
            names.append(f"stage{space.n_stages + 1}.layer1")
        tables[str(measure)] = AdditiveTable(n_genes, terms, names)
    return tables


def _ends(measure: Measure, choice: Choice) -> int:
    resolution: int
    subnets: MobileSubnets
    resolution, subnets = choice
    return subnets.ends_macs(resolution) if measure == "macs" else subnets.ends_params()


def _layer(measure: Measure, stage: int, layer: int, choice: Choice) -> int:
    subnets: MobileSubnets
    depth, kernel, expand, resolution, subnets = choice
    if layer >= depth:
        return 0
    block = subnets.layer(stage, layer, kernel, expand)
    return block.macs(subnets.side(resolution, stage, layer)) if measure == "macs" else block.params
