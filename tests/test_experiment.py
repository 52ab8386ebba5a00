import pickle
from pathlib import Path
from typing import Any

import pytest

from nas.errors import UserError
from nas.experiment import Experiment, torch_device
from nas.optimizer.nsga2 import NSGA2
from nas.settings import Paths
from nas.surrogate.rbf_ensemble import RBFEnsemble
from tests.small import Bars, tiny

PATHS = Paths(cache=Path("cache"), outputs=Path("out"), networks=Path("nets"), run=Path("run"))
NSGA = {
    "_target_": "nas.optimizer.nsga2.NSGA2", "population": 20, "generations": 5, "crossover_probability": 0.9,
    "mutation_eta": 1.0,
}  # fmt: skip
SUBNET: dict[str, Any] = {
    "_target_": "nas.evaluator.subnet.SubnetEvaluator",
    "_partial_": True,
    "recalibration_images": 24,
    "recalibration_batch_size": 8,
    "cache_mib": 16,
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
    with pytest.raises(TypeError, match="an experiment has no part 'datasett'"):
        subject.changed(datasett=dataset)


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
