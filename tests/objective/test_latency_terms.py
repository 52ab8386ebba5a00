from pathlib import Path

import numpy as np
import pytest

from nas.objective.latency_terms import ABSENT, Term, covering, terms_of
from nas.supernet.base import Supernet
from nas.supernet.ofa_resnet50 import OfaResnet50
from nas.supernet.proxyless import Proxyless
from tests.ofa_networks import SETTINGS
from tests.small import tiny
from tests.supernet.test_attentivenas import SMALL, AttentiveNas

SUPERNETS = {
    "tiny": tiny,
    "one of each": lambda: tiny(resolutions=(8,), widths=(1.0,)),
    "attentivenas": lambda: AttentiveNas(cache=Path("there is no cache"), **SMALL),
    "proxyless": lambda: Proxyless(**SETTINGS, last_kernel_sizes=(7,), last_expand_ratios=(3, 6)),
    "ofa_resnet50": lambda: OfaResnet50(**SETTINGS),
}


@pytest.fixture(params=SUPERNETS)
def supernet(request: pytest.FixtureRequest) -> Supernet:
    made: Supernet = SUPERNETS[request.param]()
    return made


def test_terms_hold_the_whole_table(supernet: Supernet) -> None:
    macs, space = supernet.costs()["macs"], supernet.space
    genomes = space.sample(50, np.random.default_rng(3))
    terms = terms_of(space, macs)
    values = {term.name: term.macs[tuple(genomes[:, list(term.genes)].T)] for term in terms}
    for name, expected in macs.parts(genomes).items():
        np.testing.assert_array_equal(np.broadcast_to(values[name], 50), expected)
    assert 1 <= sum(not term.is_layer for term in terms) <= 2


def test_few_networks_hold_every_kind(supernet: Supernet) -> None:
    terms = terms_of(supernet.space, supernet.costs()["macs"])
    genomes = covering(supernet.space, terms, np.random.default_rng(0))
    for term in terms:
        assert set(term.kind(genomes).tolist()) - {ABSENT} == set(range(term.n_kinds))
    np.testing.assert_array_equal(supernet.space.canonical(genomes), genomes)
    assert len(genomes) <= 3 * max(term.n_kinds for term in terms)


def test_depth_makes_no_kinds() -> None:
    supernet = tiny(resolutions=(8,), widths=(1.0,))
    terms = {term.name: term for term in terms_of(supernet.space, supernet.costs()["macs"])}
    assert terms["stage1.layer3"].n_kinds == len(supernet.space.kernel_sizes) * len(supernet.space.expand_ratios)
    assert (terms["stage1.layer3"].kinds[:2] == ABSENT).all()
    assert terms["stem, features, classifier"].n_kinds == 1


def test_values_of_kinds() -> None:
    term = Term("stage1.layer2", (0, 3), np.array([[0, 0], [10, 20], [10, 20]]))
    np.testing.assert_array_equal(term.kinds, [[ABSENT, ABSENT], [0, 1], [0, 1]])
    np.testing.assert_array_equal(term.values(np.array([1.5, 2.5])), [[0, 0], [1.5, 2.5], [1.5, 2.5]])
    np.testing.assert_array_equal(term.kind(np.array([[2, 9, 9, 1], [0, 9, 9, 1]])), [1, ABSENT])
