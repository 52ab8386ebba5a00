import numpy as np
import pytest

from nas.cascade.space import CascadeSpace, GapCascadeSpace
from nas.report.data.spaces import Spaces
from nas.report.statistics.genes import gene_shares, row_texts
from nas.space.cells import OPERATIONS, CellSpace
from nas.space.constrained import Constrained
from nas.space.joint import JointSpace
from nas.space.ofa_resnet50 import OfaResnet50Space
from tests.report.made import SETTINGS, made_run
from tests.small import tiny


def texts_of(space):
    """What every value of every gene stands for, by the gene's name; of long lists the ends."""
    found = {}
    for gene, name in enumerate(space.names):
        most = int(space.upper[gene])
        values = range(most + 1) if most < 9 else (0, 1, most)
        found[name] = [space.text(gene, value) for value in values]
    return found


def test_values_are_those_of_the_architectures():
    space = tiny().space
    found = texts_of(space)
    assert found["stage0.depth"] == [f"{depth:g}" for depth in space.depths]
    assert found["stage1.layer0.kernel_size"] == [f"{size:g}" for size in space.kernel_sizes]
    assert found["stage1.layer1.expand_ratio"] == [f"{ratio:g}" for ratio in space.expand_ratios]
    assert found["resolution"] == [f"{side:g}" for side in space.resolutions]
    assert texts_of(Constrained(space, [])) == found
    both = texts_of(JointSpace({"a": space, "b": space}))
    assert both["b.resolution"] == found["resolution"] and both["a.position"] == ["0", "1"]
    assert both["a.threshold"] == ["0.1", "0.2", "1"]


def test_other_spaces():
    assert texts_of(CellSpace())["node1.from0"] == list(OPERATIONS)
    cascades = texts_of(CascadeSpace(names=["x", "y"], costs=np.ones(2), size=2, goal="cascade"))
    assert cascades == {
        "network1": ["none", "x", "y"],
        "network2": ["none", "x", "y"],
        "threshold1": ["0", "0.02", "1"],
    }
    gaps = texts_of(GapCascadeSpace(names=["x", "y"], costs=np.ones(2)))
    assert gaps["network2"] == ["none", "x", "y"] and gaps["threshold1"] == ["all", "0", "inf"]
    assert texts_of(OfaResnet50Space(resolutions=(128, 224)))["stage0.width"] == ["0.65", "0.8", "1"]


def test_rows_of_several_values_say_the_first_and_the_last(tmp_path):
    record = made_run(tmp_path / "a").record
    found = gene_shares([record], [record.front()], 9)
    texts = row_texts(found, None)
    assert texts[1] == ["0", "1", "2"] and texts[2][0] == f"0 to {found.widths[2] - 1}"
    assert [len(rows) for rows in texts] == [len(shares) for shares in found.shares]


def test_a_space_that_cannot_be_built_again_is_none(tmp_path):
    own = SETTINGS | {"supernet": {"_target_": "acme.AcmeNet"}}
    runs = [made_run(tmp_path / "a"), made_run(tmp_path / "b", settings=own)]
    assert [Spaces(tmp_path).space(run) for run in runs] == [None, None]


@pytest.mark.parametrize("goal", ["cascade", "ensemble"])
def test_spaces_of_cascades_follow_from_their_genes(tmp_path, goal):
    run = made_run(tmp_path / "a", settings=SETTINGS | {"space": {"_target_": "nas.cascade.source.PooledCascades"}})
    genes = ("network1", "network2", "network3") if goal == "ensemble" else ("network1", "network2", "threshold1")
    object.__setattr__(run.record, "genes", genes)
    run.record.genomes[:] = [1, 2, 1]
    space = Spaces(tmp_path).space(run)
    assert (
        space.names == genes and space.text(0, 2) == "2" and space.text(2, 0) == ("none" if goal == "ensemble" else "0")
    )
