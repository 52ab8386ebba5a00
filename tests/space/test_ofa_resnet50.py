import json
from typing import Any

import numpy as np
import pytest

from nas.errors import UserError
from nas.space.ofa_resnet50 import OfaResnet50Space


def space() -> OfaResnet50Space:
    return OfaResnet50Space(resolutions=(128, 224))


def config() -> dict[str, Any]:
    return {"d": [2, 0, 1, 2, 0], "e": [0.25] * 18, "w": [0, 1, 2, 2, 1, 0], "r": 224}


def test_round_trip() -> None:
    resnet = space()
    assert resnet.n_genes == 30
    assert len(resnet.names) == len(set(resnet.names)) == 30
    for genome in resnet.sample(50, np.random.default_rng(0)):
        architecture = resnet.decode(genome)
        assert architecture.genome == tuple(genome.tolist())
        written = json.loads(json.dumps(architecture.config))
        assert len(written["e"]) == 18
        assert resnet.encode(written).tolist() == genome.tolist()
        present = [e for e in written["e"] if e]
        assert len(present) == 10 + sum(written["d"][1:])
        assert resnet.encode(written | {"e": present}).tolist() == genome.tolist()


def test_genes_are_where_their_names_say() -> None:
    resnet = space()
    assert resnet.names[resnet.stem_gene] == "stem.depth"
    assert resnet.names[resnet.depth_gene(2)] == "stage2.depth"
    assert resnet.names[resnet.expand_gene(2, 5)] == "stage2.layer5.expand_ratio"
    assert resnet.names[resnet.width_gene(1)] == "stem.width"
    assert resnet.names[resnet.width_gene(5)] == "stage3.width"
    assert resnet.names[resnet.resolution_gene] == "resolution"


def test_expansions_of_absent_layers_are_not_expressed() -> None:
    one = config()
    other = one | {"e": [*one["e"][:-1], 0.35]}
    assert space().encode(one).tolist() == space().encode(other).tolist()
    assert space().decode(space().encode(one)).config["e"][:4] == [0.25, 0.25, 0, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"d": [1, 0, 0, 0, 0]}, r"d\[0\] is 1; choices are 0, 2"),
        ({"d": [0, 3, 0, 0, 0]}, r"d\[1\] is 3; choices are 0, 1, 2"),
        ({"d": [0, 0]}, r"d has 2 numbers; it must have 5"),
        ({"e": [0.3] * 18}, r"e\[0\] is 0.3; choices are 0.2, 0.25, 0.35"),
        ({"e": [0.2] * 5}, r"e has 5 numbers; it must have 13 or 18"),
        ({"e": 0.2}, r"e is 0.2; it must be a list of 13 or 18 numbers"),
        ({"w": [0, 0, 0, 0, 0, 3]}, r"w\[5\] is 3; choices are 0, 1, 2"),
        ({"r": 100}, r"r is 100; choices are 128, 224"),
        ({"ks": [3]}, r"unknown key of an architecture 'ks'"),
    ],
)
def test_foreign_architectures_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        space().encode(config() | changes)


def test_a_missing_key_is_named() -> None:
    wrong = config()
    del wrong["w"]
    with pytest.raises(UserError, match="has no 'w'"):
        space().encode(wrong)


def test_resolutions_must_ascend() -> None:
    with pytest.raises(UserError, match="ascending"):
        OfaResnet50Space(resolutions=(224, 128))
