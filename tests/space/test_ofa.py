import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.errors import UserError
from nas.space.ofa import OfaSpace

REFERENCE = Path(__file__).parents[1] / "reference" / "ofa_mbv3_w10_encoding.json"


def mobilenet_v3(**changes: Any) -> OfaSpace:
    settings: dict[str, Any] = {
        "n_stages": 5,
        "depths": (2, 3, 4),
        "kernel_sizes": (3, 5, 7),
        "expand_ratios": (3, 4, 6),
        "resolutions": tuple(range(192, 257, 4)),
        "widths": (1.0,),
    }
    return OfaSpace(**(settings | changes))


def small() -> OfaSpace:
    return OfaSpace(
        n_stages=3,
        depths=(1, 2, 3),
        kernel_sizes=(3, 5),
        expand_ratios=(1, 2.5, 4),
        resolutions=(8, 12, 16),
        widths=(0.25, 0.5, 1.0),
    )


@pytest.mark.parametrize("row", json.loads(REFERENCE.read_text()), ids=lambda row: f"r{row['arch']['r']}")
def test_encoding_is_nsganetv2s(row: dict[str, Any]) -> None:
    space = mobilenet_v3()
    assert space.n_genes == 46
    assert space.encode(row["arch"]).tolist() == row["encoding"]
    assert space.decode(np.array(row["encoding"])).config == row["arch"] | {"w": 1.0}


@pytest.mark.parametrize("space", [mobilenet_v3(), small()], ids=["mobilenet_v3", "small"])
def test_round_trip(space: OfaSpace) -> None:
    for genome in space.sample(50, np.random.default_rng(0)):
        architecture = space.decode(genome)
        assert architecture.genome == tuple(genome.tolist())
        assert space.encode(json.loads(json.dumps(architecture.config))).tolist() == genome.tolist()
    assert len(space.names) == len(set(space.names)) == space.n_genes


def test_genes_are_where_their_names_say() -> None:
    space = small()
    assert space.n_genes == 23
    assert space.names[space.depth_gene(1)] == "stage1.depth"
    assert space.names[space.kernel_gene(2, 1)] == "stage2.layer1.kernel_size"
    assert space.names[space.expand_gene(0, 2)] == "stage0.layer2.expand_ratio"
    assert space.names[space.resolution_gene] == "resolution"
    assert space.width_gene is not None
    assert space.names[space.width_gene] == "width"
    assert mobilenet_v3().width_gene is None


def test_canonical_forgets_absent_layers_only() -> None:
    space = small()
    genome = np.array([[0, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2]])
    expected = [0, 1, 0, 0, 2, 0, 0, 1, 1, 1, 0, 2, 2, 0, 2, 1, 1, 1, 2, 2, 2, 2, 2]
    before = genome.copy()
    assert space.canonical(genome)[0].tolist() == expected
    assert np.array_equal(genome, before)
    assert space.canonical(np.array([expected]))[0].tolist() == expected
    assert space.decode(genome[0]) == space.decode(np.array(expected))
    assert space.canonical(np.zeros((0, 23), dtype=np.int64)).shape == (0, 23)


def test_extremes() -> None:
    space = small()
    assert space.decode(space.smallest).config == {"ks": [3] * 3, "e": [1] * 3, "d": [1] * 3, "r": 8, "w": 0.25}
    assert space.decode(space.largest).config == {"ks": [5] * 9, "e": [4] * 9, "d": [3] * 3, "r": 16, "w": 1.0}


def test_config_may_come_without_the_only_width_but_not_without_one_of_several() -> None:
    one, several = mobilenet_v3(), small()
    config = dict(one.decode(one.largest).config)
    del config["w"]
    assert np.array_equal(one.encode(config), one.largest)
    config = dict(several.decode(several.largest).config)
    del config["w"]
    with pytest.raises(UserError, match="no 'w'"):
        several.encode(config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"e": [3, 3, 3, 5, *[3] * 6]}, r"^e\[3\] is 5; choices are 3, 4, 6$"),
        ({"ks": [3, 4, *[3] * 8]}, r"^ks\[1\] is 4; choices are 3, 5, 7$"),
        ({"ks": [3] * 9}, r"ks has 9 numbers; there are 10 layers"),
        ({"e": [3] * 11}, r"e has 11 numbers; there are 10 layers"),
        ({"d": [2] * 4}, r"d has 4 numbers; there are 5 stages"),
        ({"d": [2, 2, 2, 2, 5]}, r"^d\[4\] is 5; choices are 2, 3, 4$"),
        ({"d": [2, 2, 2, 2, "2"]}, r"^d\[4\] is '2'"),
        ({"d": 2}, "d is 2; it must be a list of 5 numbers"),
        ({"e": [True] * 10}, r"^e\[0\] is True"),
        ({"r": 200.5}, r"^r is 200.5; choices are 192, 196"),
        ({"w": 1.2}, r"^w is 1.2; choices are 1.0$"),
        ({"kernel": 3}, "unknown key of an architecture 'kernel'"),
    ],
)
def test_wrong_configs_are_named(change: dict[str, Any], message: str) -> None:
    space = mobilenet_v3()
    config = dict(space.decode(space.smallest).config) | change
    with pytest.raises(UserError, match=message):
        space.encode(config)


def test_missing_key_is_named() -> None:
    space = mobilenet_v3()
    config = {key: value for key, value in space.decode(space.smallest).config.items() if key != "d"}
    with pytest.raises(UserError, match="no 'd'"):
        space.encode(config)


@pytest.mark.parametrize("depths", [(), (2, 2), (3, 2)])
def test_choices_must_ascend(depths: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="depths must be different numbers in ascending order"):
        mobilenet_v3(depths=depths)


def test_genes_out_of_bounds_are_refused() -> None:
    genome = small().largest + 1
    with pytest.raises(UserError, match=r"gene 0 \(stage0.depth\) is 3"):
        small().decode(genome)
