import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from nas.errors import UserError
from nas.objective.latency_table import LatencyTable
from nas.supernet.base import Supernet
from tests.objective.test_latency_file import measured
from tests.objective.test_latency_published import DATA, I7, needs_data, ofa
from tests.small import tiny


def table(path: Path, supernet: Supernet, n_classes: int = 4) -> LatencyTable:
    return LatencyTable(path=path, space=supernet.space, tables=supernet.costs(), n_classes=n_classes)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "table.json"
    path.write_text(json.dumps(measured(tiny())[0]))
    return path


def test_own_tables(own: Path) -> None:
    supernet = tiny()
    found = table(own, supernet)
    genomes = supernet.space.sample(10, np.random.default_rng(0))
    assert found(genomes).dtype == np.float64
    assert (found.measure.name, found.measure.unit) == ("latency_table", "ms")
    shares = found.shares(genomes[0])
    assert sum(shares.values()) == pytest.approx(found(genomes[:1])[0])
    assert len(shares) == 1 + sum(supernet.space.decode(genomes[0]).config["d"])
    many = found(supernet.space.sample(2000, np.random.default_rng(1)))
    least, most = found.limits()
    assert 0 < least <= many.min() < many.max() <= most


@needs_data
def test_published_files_and_folder() -> None:
    assert table(I7, ofa(), 10)(ofa().space.smallest[None])[0] == pytest.approx(5.888024800363837)
    assert table(DATA, ofa(1.2), 10)(ofa(1.2).space.smallest[None])[0] > 10
    least, most = table(I7, ofa(), 10).limits()
    assert least <= 5.888024800363837 < most


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1", "holds no latency table: neither one of task=latency_table, nor NSGANetV2's"),
        ("- 1", "holds no latency table"),
        ("{", "cannot be read"),
        ("a: [", "cannot be read"),
        ("!!python/object/apply:os.system ['false']", "cannot be read"),
        ('{"format": "another"}', "holds no latency table"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "table.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        table(path, tiny())
    assert "sec_obj.latency_table.path" in str(error.value)
    assert "\n" not in str(error.value)


def test_paths_without_tables(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sec_obj\.latency_table.path=.*nowhere does not exist"):
        table(tmp_path / "nowhere", tiny())
    with pytest.raises(UserError, match=r"is a folder without \.yaml files"):
        table(tmp_path, tiny())
    (tmp_path / "other.yaml").write_text("a: 1")
    with pytest.raises(UserError, match="holds no latency table"):
        table(tmp_path, tiny())


def test_searches_and_profiles_with_it(launch: Any, tmp_path: Path) -> None:
    conf = Path(__file__).parents[2] / "conf" / "supernet" / "tiny.yaml"
    chosen = {key: value for key, value in yaml.safe_load(conf.read_text()).items() if not key.startswith("_")}
    lists = {key: tuple(value) if isinstance(value, list) else value for key, value in chosen.items()}
    supernet = tiny(**(lists | {"resolutions": (8,), "n_classes": 10}))
    (tmp_path / "own.json").write_text(json.dumps(measured(supernet, 10)[0]))
    choice = ("sec_obj=[flops,latency_table]", "sec_obj.latency_table.path=own.json", "dataset.resolutions=[8]")
    code, _, err = launch(
        *choice,
        "training=none",
        "tracker=csv",
        "algorithm=random",
        "algorithm.n_doe=4",
        "algorithm.iterations=0",
        "evaluator.recalibration_images=16",
        "paths.run=run",
    )
    assert code == 0, err
    front = json.loads((tmp_path / "run" / "front.json").read_text())["front"]
    expected = table(tmp_path / "own.json", supernet, 10)
    for member in front:
        genome = supernet.space.encode(member["architecture"])
        assert member["objectives"]["latency_table"] == pytest.approx(expected(genome[None])[0])


def test_cascades_of_several_supernets_have_none(own: Path) -> None:
    from tests.products import several

    with pytest.raises(UserError, match="sec_obj=latency_table knows single networks, not cascades: choose sec_obj="):
        table(own, several())
