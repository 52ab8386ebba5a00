import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.errors import UserError
from nas.objective.latency_file import content, resolutions, table_of
from nas.objective.latency_terms import Term, terms_of
from nas.space.table import AdditiveTable
from nas.supernet.proxyless import Proxyless
from nas.supernet.tiny import Tiny
from nas.types import Floats
from tests.ofa_networks import SETTINGS
from tests.small import tiny

PATH = Path("table.json")


def measured(supernet: Any, n_classes: int = 4) -> tuple[Any, list[Term], list[Floats]]:
    terms = terms_of(supernet.space, supernet.costs()["macs"])
    rng = np.random.default_rng(0)
    values = [term.values(rng.uniform(1, 2, term.n_kinds)) for term in terms]
    about = {"supernet": "tiny", "n_classes": n_classes}
    return json.loads(json.dumps(content(supernet.space, terms, values, about))), terms, values


def load(written: Any, supernet: Tiny, n_classes: int = 4) -> AdditiveTable:
    return table_of(written, PATH, supernet.space, supernet.costs()["macs"], n_classes)


def test_what_is_written_is_read() -> None:
    supernet = tiny()
    written, terms, values = measured(supernet)
    genomes = supernet.space.sample(30, np.random.default_rng(1))
    direct = AdditiveTable(supernet.space.n_genes, [(t.genes, v) for t, v in zip(terms, values, strict=True)])
    np.testing.assert_allclose(load(written, supernet)(genomes), direct(genomes), rtol=1e-5)


@pytest.mark.parametrize("chosen", [(6,), (8, 11), (6, 8, 11)])
def test_a_run_may_have_fewer_resolutions(chosen: tuple[int, ...]) -> None:
    whole, fewer = tiny(), tiny(resolutions=chosen)
    written, *_ = measured(whole)
    genomes = fewer.space.sample(20, np.random.default_rng(1))
    same = np.array([whole.space.encode(fewer.space.decode(genome).config) for genome in genomes])
    np.testing.assert_array_equal(load(written, fewer)(genomes), load(written, whole)(same))


def test_resolutions_of_any_space() -> None:
    assert resolutions(tiny().space) == [6, 8, 11]
    assert resolutions(Proxyless(**SETTINGS, last_kernel_sizes=(7,), last_expand_ratios=(6,)).space) == [32, 43]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resolutions": (6, 9)}, "lacks the resolutions 9: set supernet.resolutions to some of"),
        ({"widths": (0.5, 1.0)}, "with other choices or other blocks"),
        ({"widths": (1.0,)}, "with other choices or other blocks"),
        ({"widths": (0.5, 0.6, 1.0)}, "with other choices or other blocks"),
        ({"kernel_sizes": (3, 5)}, "with other choices or other blocks"),
        ({"feature_width": 32}, "was measured for supernet=tiny with other choices or other blocks"),
        ({"stage_widths": (8,), "strides": (1,), "squeeze_excite": (True,), "hard_swish": (True,)}, "other blocks"),
    ],
)
def test_other_supernets_are_refused(changes: dict[str, Any], message: str) -> None:
    written, *_ = measured(tiny())
    with pytest.raises(UserError, match=message) as error:
        load(written, tiny(**changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"version": 2}, "has version 2 of its format; this program reads 1"),
        ({"n_classes": 1000}, "is for 1000 classes; this run has 4"),
        ({"terms": [{"name": "stem"}]}, "is damaged: KeyError"),
        ({"resolutions": None}, "is damaged: TypeError"),
    ],
)
def test_damaged_files_are_refused(damage: dict[str, Any], message: str) -> None:
    supernet = tiny()
    written, *_ = measured(supernet)
    with pytest.raises(UserError, match=message):
        load(written | damage, supernet)
