import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from nas.errors import UserError
from nas.space.attentivenas import AttentiveNasSpace

ROOT = Path(__file__).parents[2]
PUBLISHED = json.loads((ROOT / "tests" / "reference" / "attentivenas_published.json").read_text())
KEYS = ("resolutions", "widths", "depths", "kernel_sizes", "expand_ratios")


def published(**changes: Any) -> AttentiveNasSpace:
    settings = yaml.safe_load((ROOT / "conf" / "supernet" / "attentivenas.yaml").read_text())
    return AttentiveNasSpace(**({key: settings[key] for key in KEYS} | changes))


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row["name"])
def test_published_architectures_are_in_the_space(row: dict[str, Any]) -> None:
    space = published()
    architecture = space.decode(space.encode(row["arch"]))
    assert architecture.config == row["arch"]
    assert list(architecture.config) == ["r", "w", "d", "ks", "e"]


def test_round_trip() -> None:
    space = published()
    for genome in space.sample(50, np.random.default_rng(0)):
        architecture = space.decode(genome)
        assert architecture.genome == tuple(genome.tolist())
        assert space.encode(json.loads(json.dumps(architecture.config))).tolist() == genome.tolist()


def test_genes_are_where_their_names_say() -> None:
    space = published()
    assert space.n_genes == 31 == len(set(space.names))
    assert space.names[space.resolution_gene] == "resolution"
    assert [space.names[space.width_gene(i)] for i in (0, 1, 8)] == ["first.width", "stage0.width", "last.width"]
    assert space.names[space.depth_gene(0)] == "stage0.depth"
    assert space.names[space.kernel_gene(6)] == "stage6.kernel_size"
    assert space.names[space.expand_gene(2)] == "stage2.expand_ratio"
    assert space.choices[space.depth_gene(4)] == (3, 4, 5, 6, 7, 8)


def test_extremes() -> None:
    space = published()
    assert space.decode(space.smallest).config == PUBLISHED[0]["arch"]
    assert space.decode(space.largest).config == {
        "r": 288,
        "w": [24, 24, 32, 40, 72, 128, 216, 224, 1984],
        "d": [2, 5, 6, 6, 8, 8, 2],
        "ks": [5] * 7,
        "e": [1, 6, 6, 6, 6, 6, 6],
    }


def test_every_gene_is_expressed_and_single_choices_are_0() -> None:
    space = published(resolutions=(32,))
    genomes = space.sample(200, np.random.default_rng(1))
    assert np.array_equal(space.canonical(genomes), genomes)
    assert space.canonical(genomes) is not genomes
    single = [space.resolution_gene, *(space.expand_gene(stage) for stage in (0, 5, 6))]
    assert np.array_equal(np.flatnonzero(space.upper == 0), np.sort(single))
    assert (genomes[:, single] == 0).all()
    several = np.delete(np.arange(space.n_genes), single)
    assert (genomes[:, several].max(axis=0) == space.upper[several]).all()
    configs = {json.dumps(space.decode(genome).config) for genome in genomes}
    assert len(configs) == len(np.unique(genomes, axis=0))


@pytest.mark.parametrize(
    ("key", "index", "value", "message"),
    [
        ("r", None, 200, r"^r is 200; choices are 192, 224, 256, 288$"),
        ("w", 5, 124, r"^w\[5\] is 124; choices are 112, 120, 128$"),
        ("w", None, [16] * 8, r"^w has 8; it must be a list of 9 numbers$"),
        ("d", 0, 3, r"^d\[0\] is 3; choices are 1, 2$"),
        ("ks", 6, 7, r"^ks\[6\] is 7; choices are 3, 5$"),
        ("ks", None, 3, r"^ks is 3; it must be a list of 7 numbers$"),
        ("e", 1, 3, r"^e\[1\] is 3; choices are 4, 5, 6$"),
        ("e", 6, 5, r"^e\[6\] is 5; choices are 6$"),
        ("e", 0, True, r"^e\[0\] is True"),
        ("d", 2, "3", r"^d\[2\] is '3'"),
        ("depth", None, [1] * 7, "unknown key of an architecture 'depth'"),
    ],
)
def test_wrong_configs_are_named(key: str, index: int | None, value: object, message: str) -> None:
    space = published()
    config: dict[str, Any] = json.loads(json.dumps(space.decode(space.smallest).config))
    if index is None:
        config[key] = value
    else:
        config[key][index] = value
    with pytest.raises(UserError, match=message):
        space.encode(config)


@pytest.mark.parametrize("key", ["r", "w", "d", "ks", "e"])
def test_missing_key_is_named(key: str) -> None:
    space = published()
    config = {name: value for name, value in space.decode(space.smallest).config.items() if name != key}
    with pytest.raises(UserError, match=f"no '{key}'"):
        space.encode(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resolutions": ()}, "resolutions must be different numbers in ascending order"),
        ({"resolutions": (64, 32)}, "resolutions must be different numbers in ascending order, got 64, 32"),
        ({"kernel_sizes": ((3, 5),) * 6}, "kernel_sizes has 6 lists; with depths for 7 stages it needs 7"),
        ({"widths": ((16, 24),) * 7}, "widths has 7 lists; with depths for 7 stages it needs 9"),
        ({"depths": ((1, 1),) * 7}, r"depths\[0\] must be different numbers"),
    ],
)
def test_choices_must_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        published(**changes)


def test_genes_out_of_bounds_are_refused() -> None:
    space = published()
    with pytest.raises(UserError, match=r"gene 0 \(resolution\) is 4"):
        space.decode(space.largest + 1)
