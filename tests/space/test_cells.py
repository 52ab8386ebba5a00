import numpy as np
import pytest

from nas.errors import UserError
from nas.space.cells import OPERATIONS, CellSpace

WRITTEN = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|"


def test_written_as_the_benchmark_does():
    space = CellSpace()
    genome = np.array([4, 0, 1, 2, 3, 1])
    assert [OPERATIONS[gene] for gene in genome[:3]] == ["nor_conv_3x3", "none", "skip_connect"]
    assert space.decode(genome).config == {"arch_str": WRITTEN}
    assert space.encode({"arch_str": WRITTEN}).tolist() == genome.tolist()
    assert space.names[1:3] == ("node2.from0", "node2.from1")


def test_every_genome_round_trips_and_none_is_another():
    space = CellSpace()
    genomes = space.sample(200, np.random.default_rng(0))
    assert (space.canonical(genomes) == genomes).all()
    assert all((space.encode(space.decode(genome).config) == genome).all() for genome in genomes)
    assert space.upper.tolist() == [4] * 6


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"arch_str": WRITTEN.replace("none", "max_pool")}, "'max_pool'; choices are none, skip_connect, avg_pool_3x3"),
        ({"arch_str": WRITTEN[:-1]}, "must be of the form"),
        ({"ks": [3]}, "a cell of NAS-Bench-201 is written as {'arch_str'"),
    ],
)
def test_other_cells_are_refused(config, message):
    with pytest.raises(UserError, match=message):
        CellSpace().encode(config)
