"""The check of a search that its own parts can be built again."""

from pathlib import Path
from typing import Any

import pytest

from nas.errors import UserError
from nas.experiment import COMMAND_LINE, Experiment
from nas.targets import Allowed
from nas.task.search import check_own_parts
from tests.own_parts import importable, write_package

NONE = {"_target_": "nas.training.none.NoTraining"}
OWN: dict[str, Any] = {
    "dataset": {"_target_": "acme.data.Mine", "vld_size": 50, "resolutions": [8]},
    "supernet": {"_target_": "acme.AcmeNet", "resolutions": [8]},
    "training": NONE,
    "evaluator": {"_target_": "nas.evaluator.subnet.SubnetEvaluator"},
    "seed": 0,
}


@pytest.fixture
def folder(tmp_path):
    """A folder with the package, which is on the path."""
    with importable(tmp_path):
        write_package(tmp_path)
        yield tmp_path


def check(folder: Path, allowed: Allowed = Allowed(("acme",)), **changes: dict[str, Any]) -> None:  # noqa: B008
    settings = {key: node | changes.get(key, {}) if isinstance(node, dict) else node for key, node in OWN.items()}
    places: dict[str, Any] = {"device": "cpu", "cache": folder / "cache", "origin": COMMAND_LINE, "allowed": allowed}
    check_own_parts(Experiment.of_folder(settings, folder / "run", **places))


def test_own_parts_that_can_be_built_again_are_accepted(folder):
    check(folder)
    assert not (folder / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"supernet": {"_target_": "acme.nets.Greedy"}}, "takes 'dataset', but is given n_classes, resolutions"),
        ({"supernet": {"_target_": "acme.nets.Forgetful"}}, "has no 'fingerprint', which every Supernet has"),
        ({"supernet": {"_target_": "acme.nets.Broken"}}, r"cannot be built \(RuntimeError: no licence\)"),
        ({"supernet": {"checkpoint": "w.pt"}}, "supernet.checkpoint is unknown"),
        ({"dataset": {"_target_": "acme.data.Fickle"}}, "is another data set each time that it is built"),
        ({"dataset": {"_target_": "acme.AcmeNet"}}, "is no Dataset"),
        ({"training": {"_target_": "acme.AcmeNet"}}, "is no Training"),
    ],
)
def test_own_parts_that_could_not_be_used_after_the_search_are_refused_before_it(folder, changes, message):
    with pytest.raises(UserError, match=message):
        check(folder, **changes)


def test_code_is_not_run_unasked(folder):
    with pytest.raises(UserError, match=r"names acme\.data\.Mine as dataset, code from outside nas; add allow="):
        check(folder, allowed=Allowed())
