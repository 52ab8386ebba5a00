from pathlib import Path

import pytest

from nas.dataset.base import Augmentation, Dataset
from nas.dataset.digits import Digits
from nas.errors import UserError
from nas.pool.stored_parts import part_from

SOURCE = Path("config.yaml")
AUGMENTATION = {"_target_": "nas.dataset.base.Augmentation", "shift": 0.1, "flip": False, "cutout": 0.0}
DIGITS = {
    "_target_": "nas.dataset.digits.Digits",
    "_partial_": True,
    "split_seed": 3,
    "vld_size": 100,
    "test_size": 100,
    "mean": None,
    "std": None,
    "resolutions": [8],
    "augmentation": AUGMENTATION,
}


def part(node: object, **offers: object) -> Dataset:
    return part_from({"dataset": node}, "dataset", Dataset, offers, SOURCE)  # type: ignore[type-abstract]


def test_a_part_is_what_its_node_says():
    dataset = part(DIGITS, device="cpu", cache=Path("cache"))
    assert isinstance(dataset, Digits)
    assert dataset.augmentation == Augmentation(shift=0.1, flip=False, cutout=0.0)
    assert len(dataset.split("validation")) == 100


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (None, "has no settings of a dataset"),
        ("digits", "has no settings of a dataset"),
        ({}, "_target_='None' is no class of nas.dataset"),
        ({"_target_": "os.system", "command": "true"}, "_target_='os.system' is no class of nas.dataset"),
        ({"_target_": "nas.dataset.base.Augmentation"}, "is no Dataset"),
        ({"_target_": "nas.dataset.digits.Dataset"}, "is no class of nas.dataset"),
        ({"_target_": "nas.dataset..digits.Digits"}, "is no class of nas.dataset"),
        ({"_target_": "nas.dataset.digits.Digits\n"}, "is no class of nas.dataset"),
        (DIGITS | {"colour": 1}, "dataset.colour is unknown to this version"),
        ({key: DIGITS[key] for key in DIGITS if key != "mean"}, "dataset.mean is missing"),
        (DIGITS | {"augmentation": AUGMENTATION | {"hue": 1}}, "the settings of the dataset do not fit this version"),
        (DIGITS | {"vld_size": "x"}, "the settings of the dataset are damaged"),
    ],
)
def test_what_is_no_part_is_refused(node, message):
    with pytest.raises(UserError, match=f"config.yaml.*{message}"):
        part(node)
