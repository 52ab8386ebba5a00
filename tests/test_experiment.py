import pickle
from pathlib import Path
from typing import Any

import pytest

from nas.errors import UserError
from nas.experiment import COMMAND_LINE, Experiment, check_own_parts, torch_device
from nas.optimizer.nsga2 import NSGA2
from nas.settings import Paths
from nas.surrogate.rbf_ensemble import RBFEnsemble
from nas.targets import Allowed
from tests.own_parts import importable, write_package
from tests.small import Bars, tiny

PATHS = Paths(cache=Path("cache"), outputs=Path("out"), networks=Path("nets"), run=Path("run"))
NSGA = {
    "_target_": "nas.optimizer.nsga2.NSGA2", "population": 20, "generations": 5, "crossover_probability": 0.9,
    "mutation_eta": 1.0,
}  # fmt: skip
SUBNET: dict[str, Any] = {
    "_target_": "nas.evaluator.subnet.SubnetEvaluator",
    "_partial_": True,
    "batch_size": 20,
    "at_once": 3,
    "amp": True,
    "crop": 1.0,
    "recalibration_images": 24,
    "recalibration_batch_size": 8,
    "recalibration_augmented": False,
    "cache_mib": 16,
    "tuning": None,
    "seed": 0,
}
RBF = {"_target_": "nas.surrogate.rbf_ensemble.RBFEnsemble", "_partial_": True, "members": 20, "seed": 0}


def experiment(parts: dict[str, Any] | None = None, **nodes: Any) -> Experiment:
    return Experiment(nodes, paths=PATHS, parts=parts)


def test_a_part_is_built_once() -> None:
    subject = experiment(optimizer=NSGA)
    assert isinstance(subject.optimizer, NSGA2)
    assert subject.optimizer is subject.optimizer
    assert subject.part("optimizer") is not subject.optimizer
    assert subject.changed().optimizer is not subject.optimizer


def test_parts_get_each_other_by_name() -> None:
    supernet, dataset = tiny(), Bars()
    subject = experiment(
        {"supernet": supernet, "dataset": dataset, "device": "cpu"},
        space={"_target_": "nas.space.supernet.SupernetSpace"},
        sec_obj={"flops": {"_target_": "nas.objective.cost.TableCost", "cost": "flops"}},
        pool={"_target_": "nas.pool.none.NoPool"},
        evaluator=SUBNET,
        algorithm={"_target_": "nas.algorithm.random.RandomSearch", "n_doe": 4, "n_iter": 2, "iterations": 1},
        constraints={"flops": {"max": 1e9, "min": None}},
    )
    assert subject.source.space is supernet.space
    assert subject.space.names == supernet.space.names
    assert type(subject.space).__name__ == "Constrained"
    assert [objective.measure.name for objective in subject.objectives] == ["flops"]
    (metrics,) = subject.evaluator([supernet.space.decode(supernet.space.smallest)], "validation")
    assert 0 <= metrics["top1"] <= 100
    assert subject.algorithm.evaluations == 6
    assert subject.uses("space") and not subject.uses("surrogate")


def test_a_constructor_that_wants_a_function_gets_one_that_builds_anew() -> None:
    node = {"_target_": "nas.surrogate.adaptive.Adaptive", "candidates": ["rbf_ensemble"], "folds": 2, "seed": 0}
    node |= dict.fromkeys(("rbf", "rbf_ensemble", "gp", "mlp", "cart", "additive_gp"), RBF)
    made = experiment({"device": "cpu"}, surrogate=node).surrogate._make["rbf_ensemble"]
    first, second = made(), made()
    assert isinstance(first, RBFEnsemble)
    assert first is not second


def test_given_parts_take_the_place_of_settings_and_of_what_others_are_told() -> None:
    dataset = Bars()
    subject = experiment({"dataset": dataset}, dataset={"_target_": "nas.dataset.none.NoImages"})
    assert subject.dataset is dataset
    assert subject.n_classes == dataset.n_classes
    assert subject.changed(n_classes=7).n_classes == 7


def test_settings_change_without_the_others() -> None:
    subject = experiment(optimizer=NSGA, seed=3)
    other = subject.changed({"optimizer": {"population": 40}})
    assert other.resolved["optimizer"] == NSGA | {"population": 40}
    assert (subject.resolved["optimizer"], other.run_seed) == (NSGA, 3)


def test_another_process_gets_settings_and_given_parts() -> None:
    subject = experiment({"n_classes": 3}, optimizer=NSGA, seed=5)
    assert subject.optimizer is not None
    there = pickle.loads(pickle.dumps(subject))
    assert (there.resolved, there.paths, there.run_seed, there.n_classes) == (subject.resolved, PATHS, 5, 3)
    assert "optimizer" not in vars(there)


def test_a_replica_is_the_same_evaluator() -> None:
    nodes: dict[str, Any] = {
        "dataset": {
            "_target_": "nas.dataset.digits.Digits", "split_seed": 0, "vld_size": 40, "test_size": 40, "mean": None,
            "std": None, "resolutions": [8],
            "augmentation": {"_target_": "nas.dataset.base.Augmentation", "shift": 0.1, "flip": False, "cutout": 0.0},
        },
        "space": {"_target_": "nas.space.supernet.SupernetSpace"},
        "sec_obj": {"flops": {"_target_": "nas.objective.cost.TableCost", "cost": "flops"}},
        "evaluator": SUBNET,
    }  # fmt: skip
    supernet = tiny(n_classes=10, resolutions=(8,))
    subject = experiment({"supernet": supernet, "device": "cpu"}, **nodes)
    batch = [supernet.space.decode(supernet.space.smallest)]
    assert subject.evaluator_replica("cpu")(batch, "validation") == subject.evaluator(batch, "validation")
    dataset, same = subject.replica("cpu")
    assert (dataset.fingerprint, same) == (subject.dataset.fingerprint, supernet)


def test_several_supernets_are_no_single_one() -> None:
    subject = Experiment({"supernet": {"members": {}}}, paths=PATHS, choices={"task": "profile"})
    with pytest.raises(UserError, match="task=profile takes one supernet, not several"):
        subject.random_supernet(None)


def test_devices() -> None:
    assert torch_device("cpu") == "cpu"
    with pytest.raises(UserError, match="choices: auto, cpu, cuda"):
        torch_device("tpu")
    with pytest.raises(UserError, match="is not there"):
        torch_device("cuda:99")


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
