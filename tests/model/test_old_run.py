import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nas.errors import UserError
from nas.model.base import silent
from nas.model.find import ModelKeys, Subnet, find_source, find_subject, front_of
from nas.model.given import Given
from nas.model.old_run import OldFront, is_old_run
from nas.supernet.ofa_mobilenet import OfaMobileNet
from tests.model.test_find import asked
from tests.ofa_networks import SETTINGS, scramble

NODE = {
    "_target_": "nas.supernet.ofa_mobilenet.OfaMobileNet",
    "_partial_": True,
    "width": 1.0,
    **{key: value for key, value in SETTINGS.items() if key not in ("n_classes", "cache")},
    "resolutions": [32, 43],
}
DIGITS = {
    "_target_": "nas.dataset.digits.Digits",
    "_partial_": True,
    "split_seed": 0,
    "vld_size": 100,
    "test_size": 100,
    "mean": None,
    "std": None,
    "resolutions": [8],
    "augmentation": {"_target_": "nas.dataset.base.Augmentation", "shift": 0.0, "flip": False, "cutout": 0.0},
}
EVALUATOR = {"recalibration_images": 20, "recalibration_batch_size": 10, "crop": 1.0, "seed": 0}


def write_old(folder: Path, second: str = "flops", stats: bool = True) -> list[dict]:
    """Write results as the original tool does; return the architectures of the archive.

    The second has the smallest error of the front, the third is dominated, the fourth failed.
    """
    supernet = OfaMobileNet(**(SETTINGS | {"width": 1.0}))
    space = supernet.space
    genomes = space.sample(4, np.random.default_rng(1))
    configs = [{k: v for k, v in space.decode(genome).config.items() if k != "w"} for genome in genomes]
    rows = [(30.0, 100.0), (20.0, 200.0), (35.0, 150.0), (100.0, 1000.0)]
    archive = [[config, *row] for config, row in zip(configs, rows, strict=True)]
    (folder / "iter_0").mkdir(parents=True)
    for index, (config, error, cost) in enumerate(archive[:3]):
        (folder / "iter_0" / f"net_{index}.subnet").write_text(json.dumps(config))
        if stats:
            known = {"params": 5.0 + index, "flops": 300.0 + index, "gpu": None, "cpu": None, "top1": 100 - error}
            (folder / "iter_0" / f"net_{index}.stats").write_text(json.dumps(known | {second: cost}))
    for step in (2, 10):
        content = {"archive": archive if step == 10 else archive[:1], "candidates": [], "hv": 0.5}
        (folder / f"iter_{step}.stats").write_text(json.dumps(content))
    return configs


def named(place: Path, **changes: object) -> Given:
    settings = {"supernet": NODE, "dataset": DIGITS, "evaluator": EVALUATOR} | changes
    return Given(settings=settings, device="cpu", cache=place)


@pytest.mark.parametrize("second", ["flops", "params", "cpu"])
def test_the_front_of_the_last_iteration(tmp_path, second):
    configs = write_old(tmp_path / "old", second)
    front = front_of(tmp_path / "old", recalibrate=True, given=named(tmp_path), second="gpu")
    assert isinstance(front, OldFront)
    assert [measure.name for measure in front.measures] == ["top1_error", second]
    assert [member.architecture for member in front.members] == [configs[1], configs[0]]
    assert [member.objectives for member in front.members] == [(20.0, 200.0), (30.0, 100.0)]


def test_the_second_objective_is_named_where_files_do_not_tell_it(tmp_path):
    write_old(tmp_path / "old", stats=False)
    front = front_of(tmp_path / "old", recalibrate=True, given=named(tmp_path), second="cpu")
    assert front.measures[1].name == "cpu"


def test_a_member_without_its_weights(tmp_path):
    configs = write_old(tmp_path / "old")
    found = find_subject(ModelKeys(run=tmp_path / "old", arch=1), named(tmp_path))
    assert isinstance(found, Subnet)
    assert (found.architecture, found.supernet) == (configs[0], None)


def test_a_member_has_its_part_of_the_supernets_weights(tmp_path):
    write_old(tmp_path / "old")
    source = OfaMobileNet(**(SETTINGS | {"width": 1.0}))
    scramble(source.module)
    torch.save({"state_dict": source.module.state_dict()}, tmp_path / "weights.pth")
    given = named(tmp_path, supernet={**NODE, "checkpoint": str(tmp_path / "weights.pth")})
    models = {
        recalibrate: find_source(**asked(run=tmp_path / "old", arch=1, recalibrate=recalibrate), given=given).load(
            silent
        )
        for recalibrate in (False, True)
    }
    model = models[False]
    architecture = source.space.decode(source.space.encode(model.described["architecture"]))
    expected, images = source.extract(architecture), torch.randn(2, 3, 32, 32)
    assert model.network is not None
    with torch.no_grad():
        assert torch.equal(model.network(images), expected(images))
    assert model.described["objectives"] == {"top1_error": 30.0, "flops": 100.0}
    assert model.described["source"]["index"] == 1
    assert models[True].described["weights"] != model.described["weights"]


def test_runs_of_this_project_are_none(runs, tmp_path):
    assert not is_old_run(runs / "alone")
    assert not is_old_run(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"supernet": None}, "do not say the supernet and the data: add supernet=... dataset=..."),
        ({"dataset": None}, "do not say the supernet and the data"),
        ({"supernet": {**NODE, "resolutions": [64]}}, r"r is \d+; choices are 64"),
    ],
)
def test_what_is_not_named_or_does_not_fit(tmp_path, changes, message):
    write_old(tmp_path / "old")
    with pytest.raises(UserError, match=message):
        find_source(**asked(run=tmp_path / "old"), given=named(tmp_path, **changes))


def change(folder: Path, **rows: object) -> None:
    """Write rows of the last iteration's archive anew, by ``row<i>``; rows beyond its end are added."""
    path = folder / "iter_10.stats"
    content = json.loads(path.read_text())
    for name, row in rows.items():
        place = int(name.removeprefix("row"))
        content["archive"][place : place + 1] = [row]
    path.write_text(json.dumps(content))


def test_architectures_that_were_evaluated_twice_and_evaluations_that_failed(tmp_path):
    """The tool records a failed evaluation as 0 % and 1000; the same architecture may have been measured elsewhere."""
    configs = write_old(tmp_path / "old", "cpu")
    change(tmp_path / "old", row4=[configs[0], 100, 1000], row5=[configs[1], 20.0, 200.0], row6=[configs[3], 1, None])
    change(tmp_path / "old", row6=[configs[2], float("nan"), 1000])
    front = front_of(tmp_path / "old", recalibrate=True, given=named(tmp_path), second="flops")
    assert [member.architecture for member in front.members] == [configs[1], configs[0]]
    assert front.measures[1].name == "cpu"


@pytest.mark.parametrize(
    ("factor", "name", "unit"), [(1.01, "flops", "M multiply-adds"), (0.1, "latency", "ms"), (None, "params", "M")]
)
def test_what_the_second_objective_is_where_its_values_alone_can_tell(tmp_path, factor, name, unit):
    configs = write_old(tmp_path / "old", stats=False)
    supernet = OfaMobileNet(**(SETTINGS | {"width": 1.0}))
    genomes = np.stack([supernet.space.encode(config) for config in configs[:2]])
    cost = supernet.costs()["params" if factor is None else "macs"](genomes) / 1e6 * (factor or 1)
    order = np.argsort(cost)
    rows = {f"row{i}": [configs[k], 30.0 - i, round(float(cost[k]), 2)] for i, k in enumerate(order)}
    change(tmp_path / "old", **rows, row2=[configs[3], 100, 1000])
    front = front_of(tmp_path / "old", recalibrate=True, given=named(tmp_path))
    assert (front.measures[1].name, front.measures[1].unit) == (name, unit)


def test_encas_writes_a_list_of_one_architecture(tmp_path):
    configs = write_old(tmp_path / "old")
    place = {"position": 0, "threshold": 0.3}
    change(tmp_path / "old", row0=[[configs[0] | place], 30.0, 100.0, [[30.0], [100.0]]], row1=[[configs[1]], 20, 200])
    front = front_of(tmp_path / "old", recalibrate=True, given=named(tmp_path))
    assert [member.architecture for member in front.members] == [configs[1], configs[0]]


def test_a_file_of_results_may_be_named_as_the_original_tool_does(tmp_path):
    configs = write_old(tmp_path / "old")
    front = front_of(tmp_path / "old" / "iter_2.stats", recalibrate=True, given=named(tmp_path))
    assert front.folder == tmp_path / "old"
    assert [member.architecture for member in front.members] == [configs[0]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([{}, 1], r"row 1 of the archive in '.*iter_10.stats' has 2 entries; it must hold an architecture, its error"),
        ({}, r"row 1 of the archive in '.*iter_10.stats' is no list"),
        ([[{}, {}], 1, 2], r"row 1 .* holds a cascade of 2 networks: use the results of one supernet"),
        ([[3, 5], 1, 2], r"row 1 .* holds a cascade"),
        ([3, 1, 2], r"row 1 .* holds no architecture such as"),
        ([{}, "good", None], r"row 1 .*: error 'good' and second objective None must be numbers"),
        ([{"ks": [3]}, 1, 2], r"'.*iter_10.stats': the architecture has no 'e'"),
        ([{"ks": [3], "e": [3], "d": [2] * 5, "r": 32}, 1, 2], r"'.*iter_10.stats': ks has 1 numbers; there are 10 la"),
    ],
)
def test_rows_that_cannot_be_read_name_the_file(tmp_path, row, message):
    write_old(tmp_path / "old")
    change(tmp_path / "old", row1=row)
    with pytest.raises(UserError, match=message):
        find_source(**asked(run=tmp_path / "old"), given=named(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "iter_10.stats' is damaged"),
        ('{"hv": 1}', "iter_10.stats' is damaged"),
        ('{"archive": [[{}, 100, 1000]]}', "holds no architecture whose evaluation succeeded"),
    ],
)
def test_damaged_files(tmp_path, content, message):
    write_old(tmp_path / "old")
    (tmp_path / "old" / "iter_10.stats").write_text(content)
    with pytest.raises(UserError, match=message):
        front_of(tmp_path / "old", recalibrate=True, given=named(tmp_path))
