"""What every space must do, whatever its architectures are."""

import numpy as np
import pytest

from nas.cascade.space import CascadeSpace
from nas.space.base import SearchSpace
from nas.space.cells import CellSpace
from nas.space.constrained import Bound, Constrained
from nas.space.joint import JointSpace
from nas.space.ofa import OfaSpace
from nas.space.ofa_resnet50 import OfaResnet50Space
from nas.space.proxyless import ProxylessSpace

STAGES = OfaSpace(
    n_stages=2, depths=(1, 2, 4), kernel_sizes=(3, 5), expand_ratios=(2, 3, 4), resolutions=(8,), widths=(0.5, 1.0)
)
ONE = OfaSpace(n_stages=1, depths=(1,), kernel_sizes=(3,), expand_ratios=(2,), resolutions=(8,), widths=(1.0,))
TWO = OfaSpace(n_stages=1, depths=(1,), kernel_sizes=(3, 5), expand_ratios=(2,), resolutions=(8,), widths=(1.0,))
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


LITTLE = OfaSpace(
    n_stages=2, depths=(1, 2), kernel_sizes=(3, 5), expand_ratios=(2, 3), resolutions=(8,), widths=(0.5, 1.0)
)
LISTED: list[SearchSpace] = [
    LITTLE,
    ProxylessSpace(
        stages=OfaSpace(
            n_stages=1, depths=(1, 3), kernel_sizes=(3, 5), expand_ratios=(2,), resolutions=(8,), widths=(1.0,)
        ),
        last_kernel_sizes=(3,),
        last_expand_ratios=(2,),
    ),
    JointSpace({"first": TWO, "second": TWO}),
    JointSpace({"first": ONE, "second": ONE, "third": ONE}),
    CascadeSpace(names=("a", "b", "c"), costs=np.arange(3.0), size=2, goal="cascade"),
    CascadeSpace(names=("a", "b", "c"), costs=np.arange(3.0), size=3, goal="ensemble"),
    CellSpace(),
    Constrained(LITTLE, [Bound("sum", lambda genomes: genomes.sum(axis=1).astype(np.float64), None, 4.0)]),
]


@pytest.mark.parametrize("space", LISTED, ids=lambda space: type(space).__name__)
def test_as_many_architectures_as_it_says(space: SearchSpace) -> None:
    everything = space.unseen(space.smallest[None][:0])
    assert everything is not None
    assert len(everything) == space.size() == len(np.unique(everything, axis=0))
    np.testing.assert_array_equal(space.canonical(everything), everything)
    some = everything[:: max(1, len(everything) // 5)]
    left = space.unseen(some)
    assert left is not None
    assert len(left) == len(everything) - len(some)
    drawn = space.sample_unseen(3, left, np.random.default_rng(0))
    assert {tuple(row) for row in drawn.tolist()} <= {tuple(row) for row in some.tolist()}
    assert len(drawn) == min(3, len(some))


def test_a_space_is_listed_up_to_a_million_combinations_of_genes() -> None:
    resnets = OfaResnet50Space(resolutions=(128, 224))
    assert resnets.unseen(resnets.smallest[None]) is None
    assert Constrained(resnets, [Bound("sum", lambda genomes: genomes.sum(axis=1) / 1.0, None, 20.0)]).size() is None
