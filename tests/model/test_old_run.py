import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nas.errors import UserError
from nas.model.base import silent
from nas.model.find import find_source, front_of
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged"),
        ('{"hv": 1}', "is damaged"),
        ('{"archive": [[{}, 1]]}', "is damaged"),
        ('{"archive": [[{}, 100, 1000]]}', "holds no architecture whose evaluation succeeded"),
    ],
)
def test_damaged_files(tmp_path, content, message):
    write_old(tmp_path / "old")
    (tmp_path / "old" / "iter_10.stats").write_text(content)
    with pytest.raises(UserError, match=message):
        front_of(tmp_path / "old", recalibrate=True, given=named(tmp_path))
