import json
from typing import Any

import numpy as np
import pytest

from nas.errors import UserError
from nas.space.ofa import OfaSpace
from nas.space.proxyless import ProxylessSpace


def space(**changes: Any) -> ProxylessSpace:
    stages = OfaSpace(
        n_stages=5,
        depths=(2, 3, 4),
        kernel_sizes=(3, 5, 7),
        expand_ratios=(3, 4, 6),
        resolutions=(192, 224),
        widths=(1.3,),
    )
    last: dict[str, Any] = {"last_kernel_sizes": (3, 5, 7), "last_expand_ratios": (3, 4, 6)}
    return ProxylessSpace(stages=stages, **(last | changes))


@pytest.mark.parametrize("changes", [{}, {"last_kernel_sizes": (7,), "last_expand_ratios": (6,)}])
def test_round_trip(changes: dict[str, Any]) -> None:
    proxyless = space(**changes)
    assert proxyless.n_genes == 48
    assert len(proxyless.names) == len(set(proxyless.names)) == 48
    for genome in proxyless.sample(50, np.random.default_rng(0)):
        architecture = proxyless.decode(genome)
        assert architecture.genome == tuple(genome.tolist())
        config = json.loads(json.dumps(architecture.config))
        assert config["d"][-1] == 1
        assert len(config["ks"]) == len(config["e"]) == sum(config["d"])
        assert proxyless.encode(config).tolist() == genome.tolist()


def test_absent_layers_are_not_expressed() -> None:
    proxyless = space()
    genome = proxyless.largest.copy()
    genome[proxyless.stages.depth_gene(0)] = 0
    other = genome.copy()
    other[proxyless.stages.kernel_gene(0, 3)] = 0
    assert (proxyless.canonical(genome[None]) == proxyless.canonical(other[None])).all()


def encas() -> dict[str, Any]:
    return {"ks": [3] * 10, "e": [4] * 10, "d": [2] * 5, "r": 224, "w": 1.3}


def test_architectures_of_encas_have_the_largest_last_layer() -> None:
    proxyless = space()
    config = proxyless.decode(proxyless.encode(encas())).config
    assert config == {"ks": [3] * 10 + [7], "e": [4] * 10 + [6], "d": [2] * 5 + [1], "r": 224, "w": 1.3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"e": [4] * 9 + [5]}, r"e\[9\] is 5; choices are 3, 4, 6"),
        ({"d": [2] * 5 + [2]}, r"d\[5\] is 2; the last stage has 1 layer"),
        ({"d": [2] * 5 + [1], "ks": [3] * 10 + [9], "e": [3] * 11}, r"the last of ks is 9; choices are 3, 5, 7"),
        ({"d": [2] * 5 + [1], "e": []}, r"e must be a list"),
        ({"d": [2] * 5 + [1]}, r"ks has 9 numbers; there are 10"),
        ({"d": 3}, r"d is 3; it must be a list"),
    ],
)
def test_foreign_architectures_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        space().encode(encas() | changes)


@pytest.mark.parametrize("choices", [(), (5, 3), (4,)])
def test_choices_of_the_last_layer(choices: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"last_kernel_sizes must be some of \[3, 5, 7\]"):
        space(last_kernel_sizes=choices)
