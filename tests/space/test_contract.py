"""What every space must do, whatever its architectures are."""

import numpy as np
import pytest

from nas.space.base import SearchSpace
from nas.space.cells import CellSpace
from nas.space.constrained import Bound, Constrained
from nas.space.ofa import OfaSpace
from nas.space.ofa_resnet50 import OfaResnet50Space
from nas.space.proxyless import ProxylessSpace

STAGES = OfaSpace(
    n_stages=2, depths=(1, 2, 4), kernel_sizes=(3, 5), expand_ratios=(2, 3, 4), resolutions=(8,), widths=(0.5, 1.0)
)
SPACES: list[SearchSpace] = [
    STAGES,
    OfaSpace(n_stages=1, depths=(2,), kernel_sizes=(3,), expand_ratios=(2, 3), resolutions=(8, 12), widths=(1.0,)),
    ProxylessSpace(stages=STAGES, last_kernel_sizes=(5,), last_expand_ratios=(2, 4)),
    OfaResnet50Space(resolutions=(128, 224)),
    Constrained(STAGES, [Bound("sum", lambda genomes: genomes.sum(axis=1).astype(np.float64), None, 20.0)]),
    CellSpace(),
]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: type(space).__name__)
def test_a_gene_is_expressed_where_another_choice_is_another_architecture(space: SearchSpace) -> None:
    genomes = np.concatenate([space.sample(40, np.random.default_rng(0)), [space.smallest, space.largest]])
    for genome, expressed in zip(genomes, space.expressed(genomes), strict=True):
        for gene in range(space.n_genes):
            choices = np.arange(space.lower[gene], space.upper[gene] + 1)
            others = np.tile(genome, (len(choices), 1))
            others[:, gene] = choices
            assert expressed[gene] == (len(np.unique(space.canonical(others)[:, gene])) > 1), space.names[gene]
