from itertools import product

import numpy as np
import pytest

from nas.space.joint import EACH_MACS
from nas.space.table import AdditiveTable
from tests.products import several
from tests.small import tiny


@pytest.mark.parametrize("seed", range(4))
def test_extremes_are_those_of_all_combinations_of_genes(seed):
    """Of terms that share genes in any way, costs that rise and fall, and genes that no term looks at."""
    rng = np.random.default_rng(seed)
    choices = [3, 2, 4, 1, 2, 3]
    groups = [(0, 1), (1, 2, 5), (5, 0), (4,), (2, 4), (3, 1)]
    terms = [(genes, rng.integers(-50, 50, [choices[gene] for gene in genes])) for genes in groups[: 3 + seed]]
    table = AdditiveTable(len(choices), terms)
    sums = table(np.array(list(product(*map(range, choices)))))
    assert table.extremes() == (sums.min(), sums.max())


def test_extremes_of_a_supernet_are_those_of_its_architectures():
    supernet = tiny(depths=(1, 2), kernel_sizes=(3,), resolutions=(6, 8), widths=(0.5, 1.0), stage_widths=(8, 12, 12))
    everything = supernet.space.unseen(supernet.space.smallest[None][:0])
    for table in supernet.costs().values():
        assert table.extremes() == (table(everything).min(), table(everything).max())


def test_extremes_of_cascades_are_sums_of_those_of_their_networks():
    supernet = several()
    table = supernet.costs()[EACH_MACS]
    each = table.each_extremes()
    ends = [member.costs()["macs"].extremes() for member in supernet.members.values()]
    assert each == ends
    assert table.extremes() == (sum(low for low, _ in ends), sum(high for _, high in ends))
