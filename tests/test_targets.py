from pathlib import Path

import pytest

from nas.dataset.base import Augmentation, Dataset
from nas.dataset.digits import Digits
from nas.errors import UserError
from nas.experiment import Experiment
from nas.targets import NO_OTHERS, Allowed, allowed_by
from tests.own_parts import importable, write_package

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


def part(node: object, **parts: object) -> Dataset:
    return own_part(node, NO_OTHERS, **parts)


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
        (DIGITS | {"augmentation": AUGMENTATION | {"hue": 1}}, "dataset.hue is unknown to this version"),
        (DIGITS | {"vld_size": "x"}, "the settings of the dataset are damaged"),
    ],
)
def test_what_is_no_part_is_refused(node, message):
    with pytest.raises(UserError, match=f"config.yaml.*{message}"):
        part(node)


ACME = {"_target_": "acme.data.Mine", "_partial_": True, "vld_size": 50, "resolutions": [8]}


@pytest.fixture
def imported(tmp_path):
    """The file that an import of the package makes; the package is on the path."""
    with importable(tmp_path):
        yield write_package(tmp_path)


def own_part(node: object, allowed: Allowed, **parts: object) -> Dataset:
    places = {"device": "cpu", "cache": Path("cache"), "allowed": allowed, "origin": SOURCE}
    return Experiment.of_folder({"dataset": node}, Path("run"), **places, parts=parts).dataset


@pytest.mark.parametrize(
    "allowed", [NO_OTHERS, Allowed(("acm", "acme.nets", "data")), Allowed((), frozenset({"acme.data.Other", "acme"}))]
)
def test_code_that_is_not_allowed_is_not_even_imported(imported, allowed):
    with pytest.raises(UserError) as refusal:
        own_part(ACME, allowed)
    assert str(refusal.value) == (
        "config.yaml names acme.data.Mine as dataset, code from outside nas; add allow=[acme] if you trust it"
    )
    assert not imported.exists()


@pytest.mark.parametrize(
    "allowed",
    [Allowed(("acme",)), Allowed(("other", "acme.data")), Allowed((), frozenset({"acme.data.Mine"}))],
)
def test_allowed_code_is_used(imported, allowed):
    dataset = own_part(ACME, allowed)
    assert (type(dataset).__name__, len(dataset.split("validation"))) == ("Mine", 50)
    assert imported.exists()


@pytest.mark.parametrize("target", ["os.system", "builtins.exec", "__main__.X", "nas.cli.main.main"])
def test_python_and_this_project_cannot_be_allowed(target):
    package = target.partition(".")[0]
    with pytest.raises(UserError, match="only those are used"):
        own_part({"_target_": target}, Allowed((package,), frozenset({target})))
    with pytest.raises(UserError, match=rf"allow=\[{package}\] is wrong: it takes packages of your own"):
        allowed_by({"allow": [package]})


def test_what_a_package_only_imports_is_not_its_own(tmp_path, imported):
    (tmp_path / "acme/data.py").write_text("from subprocess import Popen\nfrom nas.dataset.digits import Digits\n")
    for name in ("Popen", "Digits"):
        with pytest.raises(UserError, match=r"a class of (subprocess|nas\.dataset\.digits), which allow does not name"):
            own_part({"_target_": f"acme.data.{name}", "args": ["true"]}, Allowed(("acme",)))


def test_nested_parts_are_refused_too(imported):
    node = DIGITS | {"augmentation": {"_target_": "acme.data.Mine", "vld_size": 3}}
    with pytest.raises(UserError, match=r"names acme\.data\.Mine as dataset, code from outside nas"):
        own_part(node, NO_OTHERS)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (ACME | {"_target_": "acme.data.None_"}, "'acme.data' has no class None_"),
        (ACME | {"_target_": "acme.data.itertools"}, "'acme.data' has no class itertools"),
        (ACME | {"_target_": "acme.nowhere.Mine"}, "cannot be imported .*No module named 'acme.nowhere'"),
        (ACME | {"_target_": "acme.nets.AcmeNet"}, "is no Dataset"),
        ({"_target_": "acme.data.Mine"}, "takes 'resolutions', but is given "),
        (ACME | {"vld_size": "many"}, r"cannot be built \((TypeError|ValueError|UserError)|vld_size"),
    ],
)
def test_own_code_that_does_not_work_is_named(imported, node, message):
    with pytest.raises(UserError, match=message) as refusal:
        own_part(node, Allowed(("acme",)))
    assert "\n" not in str(refusal.value)


def test_a_command_line_allows_what_it_names_itself():
    settings = {"allow": ["other"], "dataset": ACME, "supernet": {"members": {"a": {"_target_": "acme.AcmeNet"}}}}
    assert allowed_by(settings | {"pool": DIGITS}) == Allowed(("other",), frozenset({"acme.data.Mine", "acme.AcmeNet"}))
    assert allowed_by({}) == NO_OTHERS


@pytest.mark.parametrize("name", ["", "a b", "acme.", "../acme", "1st"])
def test_what_is_no_name_of_a_package_is_refused(name):
    with pytest.raises(UserError, match="is wrong: it takes names of packages, for example"):
        allowed_by({"allow": [name]})
