import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from scipy.special import log_softmax

from nas.errors import RunError, UserError
from nas.evaluator.subnet import SubnetEvaluator
from nas.pool.model import from_logits
from nas.pool.runs import RunsPool
from nas.training import checkpoint
from tests.pool.pools import silent
from tests.sealing import change, write_settings
from tests.small_runs import small_run


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Two runs on one trained supernet, and the cache."""
    folder = tmp_path_factory.mktemp("runs")
    small_run(folder, "a/seed_0", "algorithm.iterations=1", "algorithm.n_iter=4")
    small_run(folder, "a/seed_1", "seed=1", "sec_obj=[flops,params]")
    return folder


@pytest.fixture(scope="module")
def adapted(place) -> Path:
    """A run whose weights moved, in the same folder."""
    small_run(
        place,
        "nat/seed_0",
        "algorithm=nat",
        "algorithm.n_iter=6",
        "algorithm.iterations=2",
        "optimizer.generations=3",
        "surrogate.members=20",
        "training.epochs=1",
        "training.warmup_epochs=0",
        "training.averaged_iterations=2",
        "training.initial.epochs=2",
        "training.initial.warmup_epochs=1",
    )
    return place


def pool(place: Path, *names: str, cache: Path | None = None, workers: int = 1) -> RunsPool:
    return RunsPool(
        runs=tuple(place / name for name in names), workers=workers, device="cpu", cache=cache or place / "cache"
    )


def front(folder: Path) -> list[dict]:
    return json.loads((folder / "front.json").read_text())["front"]


def test_what_cascades_may_cost_does_not_depend_on_what_a_run_found(place):
    """One seed's front and another's have one box of hypervolumes: that of the supernet's space."""
    first, second = pool(place, "a/seed_0"), pool(place, "a/seed_1")
    for each in (first, second):
        each.prepare(silent)
    assert first.costs["flops"].tolist() != second.costs["flops"].tolist()
    assert first.limits == second.limits
    for name, (low, high) in first.limits.items():
        assert low <= first.costs[name].min() < first.costs[name].max() <= high


def test_outputs_are_those_that_the_runs_measured(place):
    found = pool(place, "a/seed_0", "a/seed_1")
    found.prepare(silent)
    members = front(place / "a/seed_0") + front(place / "a/seed_1")
    assert len(found.names) == len(members) > 4
    assert found.groups == ("seed_0",) * len(front(place / "a/seed_0")) + ("seed_1",) * len(front(place / "a/seed_1"))
    assert [dict(a) for a in found.architectures] == [
        {"run": group} | member["architecture"] for group, member in zip(found.groups, members, strict=True)
    ]
    for name, key in (("flops", "flops"), ("params", "params")):
        np.testing.assert_array_equal(found.costs[name], [member["metrics"][key] for member in members])
    assert set(found.costs) == {"flops", "params"}
    for split, key in (("validation", "metrics"), ("test", "test")):
        outputs = found.outputs(split)
        assert outputs.probabilities.shape == (len(members), 450, 10)
        right = outputs.probabilities[:, np.arange(450), outputs.labels].astype(np.float64)
        loss = -np.log(np.maximum(right, 1e-7)).mean(axis=1)
        np.testing.assert_allclose(loss, [member[key]["loss"] for member in members], rtol=1e-3)


def test_logits_are_the_very_ones_that_the_run_measured(place, tmp_path, monkeypatch):
    shutil.copytree(place / "cache" / "supernets", tmp_path / "supernets")
    seen = []
    monkeypatch.setattr("nas.pool.runs.from_logits", lambda logits: seen.append(logits) or from_logits(logits))
    found = pool(place, "a/seed_0", cache=tmp_path)
    found.prepare(silent)
    measured = [member[key] for member in front(place / "a/seed_0") for key in ("metrics", "test")]
    assert len(seen) == len(measured)
    for place_, (logits, metrics) in enumerate(zip(seen, measured, strict=True)):
        labels = found.outputs("test" if place_ % 2 else "validation").labels
        assert 100 * (logits.argmax(axis=1) == labels).mean() == pytest.approx(metrics["top1"], abs=1e-9)
        assert -log_softmax(logits, axis=1)[np.arange(450), labels].mean() == pytest.approx(metrics["loss"], rel=1e-6)


@pytest.mark.slow
def test_the_final_weights_of_a_run_that_adapted_them_are_used(adapted, monkeypatch):
    members, said, seen = front(adapted / "nat/seed_0"), [], []
    monkeypatch.setattr("nas.pool.runs.from_logits", lambda logits: seen.append(logits) or from_logits(logits))
    found = pool(adapted, "nat/seed_0")
    found.prepare(lambda what, done, total: said.append(what))
    assert all(member["final"]["loss"] != member["metrics"]["loss"] for member in members)
    assert len(said) == len(members)  # networks alone: nothing is trained
    measured = [member[key] for member in members for key in ("final", "test")]
    for place_, (logits, metrics) in enumerate(zip(seen, measured, strict=True)):
        labels = found.outputs("test" if place_ % 2 else "validation").labels
        assert 100 * (logits.argmax(axis=1) == labels).mean() == pytest.approx(metrics["top1"], abs=1e-9)
        assert -log_softmax(logits, axis=1)[np.arange(450), labels].mean() == pytest.approx(metrics["loss"], rel=1e-6)


@pytest.mark.parametrize("damage", ["absent", "cut", "changed"])
def test_damaged_final_weights_are_made_again_from_the_last_steps_or_refused(adapted, tmp_path, damage):
    shutil.copytree(adapted / "nat/seed_0", tmp_path / "run")
    final = tmp_path / "run" / "weights" / "final.pt"
    data = bytearray(final.read_bytes())

    def damaged():
        final.unlink()
        if damage == "cut":
            final.write_bytes(data[: len(data) // 2])
        if damage == "changed":
            changed = data.copy()
            changed[len(data) // 2] ^= 1
            final.write_bytes(changed)

    damaged()
    pool(tmp_path, "run", cache=tmp_path / "cache").prepare(silent)
    again, good = checkpoint.load(final), checkpoint.load(adapted / "nat/seed_0" / "weights" / "final.pt")
    assert all(torch.equal(tensor, good["weights"][name]) for name, tensor in again["weights"].items())
    damaged()
    for path in final.parent.glob("iter_*.pt"):
        path.unlink()
    with pytest.raises(UserError, match=r"final\.pt and the weights beside it are absent or damaged$"):
        pool(tmp_path, "run", cache=tmp_path / "other").prepare(silent)


def test_outputs_belong_to_an_augmentation_where_statistics_do(adapted, tmp_path):
    def identity(name: str, augmented: bool, **augmentation: object) -> object:
        shutil.copytree(adapted / "nat/seed_0", tmp_path / name)
        settings = yaml.safe_load((tmp_path / name / "config.yaml").read_text())
        settings["dataset"]["augmentation"] |= augmentation
        settings["evaluator"]["recalibration_augmented"] = augmented
        write_settings(tmp_path / name, settings)
        (read,) = pool(tmp_path, name, cache=adapted / "cache")._runs
        return read.identity(silent)

    flipped = identity("a", True, flip=True)
    assert flipped != identity("b", True, flip=False)
    assert flipped == identity("c", True, flip=True, workers=3)
    assert identity("d", False, flip=True) == identity("e", False, flip=False)


def test_names_say_where_a_network_was_evaluated(place):
    found = pool(place, "a/seed_0")
    found.prepare(silent)
    for name, member in zip(found.names, front(place / "a/seed_0"), strict=True):
        file = place / "a" / f"{name}.subnet"
        assert json.loads(file.read_text()) == member["architecture"]


def test_a_second_pool_evaluates_nothing(place, monkeypatch):
    first = pool(place, "a/seed_0")
    first.prepare(silent)
    monkeypatch.setattr(SubnetEvaluator, "logits", None)
    second = pool(place, "a/seed_0")
    second.prepare(silent)
    assert second.fingerprint == first.fingerprint
    np.testing.assert_array_equal(second.outputs("test").probabilities, first.outputs("test").probabilities)


def test_threads_give_the_same_outputs(place, tmp_path):
    shutil.copytree(place / "cache" / "supernets", tmp_path / "supernets")
    alone, together = pool(place, "a/seed_0"), pool(place, "a/seed_0", cache=tmp_path, workers=2)
    for each in (alone, together):
        each.prepare(silent)
    assert together.fingerprint == alone.fingerprint


def test_other_weights_than_the_runs_are_noticed(place, tmp_path):
    changed = copied(place, tmp_path, ("training", "lr"), 1e-6)
    with pytest.raises(RunError, match=r"net_\d+ cannot be used: its accuracy is .* %, in its run it was "):
        pool(changed.parent, changed.name, cache=tmp_path / "cache").prepare(silent)


def copied(place: Path, folder: Path, key: tuple[str, ...], value: object, name: str = "other") -> Path:
    """Copy the first run with one setting changed, as an earlier version would have left it: without digests."""
    shutil.copytree(place / "a/seed_0", folder / name)
    settings = yaml.safe_load((folder / name / "config.yaml").read_text())
    node = settings
    for part in key[:-1]:
        node = node[part]
    node[key[-1]] = value
    write_settings(folder / name, settings)
    change(folder / name / "run.json", fingerprints={}, weights={})
    return folder / name


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (("dataset", "split_seed"), 1, "dataset.split_seed is 0 and 1"),
        (("dataset", "vld_size"), 449, "dataset.vld_size is 450 and 449"),
    ],
)
def test_runs_on_other_splits_are_refused(place, tmp_path, key, value, message):
    other = copied(place, tmp_path, key, value)
    both = RunsPool(runs=(place / "a/seed_0", other), workers=1, device="cpu", cache=place / "cache")
    with pytest.raises(UserError, match=rf"models seed_0/\S+ and other/\S+ do not fit each other: .*{message}"):
        both.prepare(silent)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "nas.files.write_text",
        "nas.run.folder.RunFolder",
        "nas.dataset.digits.np",
        "nas.dataset.digits.Augmentation",
        "nas.dataset.digits.Digits.split",
        "nas.dataset.nothing.Nothing",
        "nas.dataset.base.Augmentation",
        "nas.supernet.tiny.Tiny",
        None,
    ],
)
def test_nothing_that_a_run_folder_names_is_called_but_parts(place, tmp_path, target):
    other = copied(place, tmp_path, ("dataset", "_target_"), target)
    with pytest.raises(UserError, match=r"config.yaml: dataset._target_=\S+ is no "):
        pool(other.parent, other.name, cache=place / "cache").prepare(silent)


@pytest.mark.parametrize("target", ["os.system", "nas.supernet.tiny.Tiny"])
def test_nested_nodes_are_as_restricted(place, tmp_path, target):
    other = copied(place, tmp_path, ("dataset", "augmentation", "_target_"), target)
    with pytest.raises(UserError, match=r"config.yaml: dataset._target_=\S+ is no class of nas.dataset"):
        pool(other.parent, other.name, cache=place / "cache").prepare(silent)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (("dataset", "colour"), 1, "dataset.colour is unknown to this version"),
        (("dataset", "vld_size"), "many", "the settings of the dataset are damaged"),
        (("supernet", "widths"), [0.5], "other genes"),
        (("evaluator", "_target_"), "nas.evaluator.predictor.PredictorEvaluator", "is no SubnetEvaluator"),
    ],
)
def test_settings_that_do_not_fit_are_refused(place, tmp_path, key, value, message):
    other = copied(place, tmp_path, key, value)
    with pytest.raises(UserError, match=message):
        pool(other.parent, other.name, cache=place / "cache").prepare(silent)


def test_an_unfinished_run_is_refused(place, tmp_path):
    with pytest.raises(UserError, match="holds no finished run"):
        pool(tmp_path, "nothing")


def test_a_damaged_run_is_refused(place, tmp_path):
    other = copied(place, tmp_path, ("seed",), 0)
    (other / "config.yaml").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        pool(other.parent, other.name)


def test_a_run_listed_twice_is_refused(place):
    with pytest.raises(UserError, match=r"pool.runs lists '.*seed_0' twice"):
        pool(place, "a/seed_0", "a/seed_0")


def test_trained_weights_are_trained_only_where_they_are_absent(place, tmp_path):
    def said(folder: Path, cache: Path) -> list[str]:
        told: list[str] = []
        pool(folder.parent, folder.name, cache=cache).prepare(lambda what, done, total: told.append(what))
        return [what for what in told if "net_" not in what]

    earlier = copied(place, tmp_path, ("seed",), 0)
    assert said(place / "a/seed_0", place / "cache") == []
    assert said(place / "a/seed_0", tmp_path / "empty") == []  # the run has its own
    assert said(earlier, place / "cache") == []
    assert said(earlier, tmp_path / "new") == ["training the supernet of other"] * 3
