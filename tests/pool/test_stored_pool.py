import logging
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from nas import files
from nas.errors import RunError, UserError
from nas.pool import array_folder
from tests.pool.pools import CLASSES, SIZES, Invented, labels, logits, silent

ROOT = Path(__file__).parents[2]


def content(pool: Invented) -> dict[str, np.ndarray]:
    found = {split: pool.outputs(split) for split in SIZES}
    return {
        f"{split}_{name}": np.array(getattr(outputs, name))
        for split, outputs in found.items()
        for name in ("probabilities", "gaps", "labels")
    }


def assert_equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for name, values in a.items():
        np.testing.assert_array_equal(values, b[name], strict=True)


@pytest.fixture
def reference(tmp_path_factory) -> dict[str, np.ndarray]:
    pool = Invented(tmp_path_factory.mktemp("reference"))
    pool.prepare(silent)
    return content(pool)


def test_outputs_are_those_of_the_models(tmp_path):
    pool = Invented(tmp_path)
    pool.prepare(silent)
    assert pool.names == ("model_0", "model_1", "model_2")
    assert pool.groups == ("even", "odd", "even")
    assert pool.architectures == ({"seed": 0}, {"seed": 1}, {"seed": 2})
    assert pool.class_names == CLASSES
    assert pool.n_classes == 3
    assert pool.splits == ("validation", "test")
    assert pool.failed == {}
    assert set(pool.costs) == {"flops", "latency"}  # params are not known for all
    np.testing.assert_array_equal(pool.costs["flops"], [10, 20, 30])
    np.testing.assert_array_equal(pool.costs["latency"], [0.5, 0.5, 0.5])
    for split, size in SIZES.items():
        outputs = pool.outputs(split)
        expected = np.stack([softmax(logits(seed, split), axis=1) for seed in range(3)])
        assert outputs.probabilities.shape == (3, size, 3)
        assert outputs.probabilities.dtype == np.float16
        np.testing.assert_allclose(outputs.probabilities, expected, rtol=1e-3, atol=1e-6)
        np.testing.assert_array_equal(outputs.labels, labels()[split])
        assert outputs.gaps.shape == (3, size)


def test_outputs_are_memory_mapped_image_by_image(tmp_path):
    pool = Invented(tmp_path)
    pool.prepare(silent)
    probabilities = pool.outputs("validation").probabilities
    assert isinstance(probabilities, np.memmap)
    assert not probabilities.flags.writeable
    by_image = probabilities.transpose(1, 0, 2)
    assert np.ascontiguousarray(by_image).base is not None  # no copy
    assert np.shares_memory(np.ascontiguousarray(by_image), probabilities)


def test_many_small_blocks_give_the_same_file(tmp_path, reference, monkeypatch):
    monkeypatch.setattr("nas.pool.stored_pool.BLOCK_BYTES", 100)
    pool = Invented(tmp_path)
    pool.prepare(silent)
    assert_equal(content(pool), reference)


def test_progress_counts_models(tmp_path):
    calls = []
    Invented(tmp_path).prepare(lambda *call: calls.append(call))
    assert calls == [("model_0", 1, 3), ("model_1", 2, 3), ("model_2", 3, 3)]


def test_second_pool_runs_nothing(tmp_path, reference):
    first = Invented(tmp_path)
    first.prepare(silent)
    first.prepare(silent)
    assert first.runs == [0, 1, 2]
    second, calls = Invented(tmp_path), []
    second.prepare(lambda *call: calls.append(call))
    assert second.runs == []
    assert calls == []
    assert second.fingerprint == first.fingerprint
    assert_equal(content(second), reference)


def test_a_larger_pool_runs_what_is_new(tmp_path):
    small, large = Invented(tmp_path, k=2), Invented(tmp_path, k=3)
    small.prepare(silent)
    large.prepare(silent)
    assert large.runs == [2]
    assert large.fingerprint != small.fingerprint


def test_workers_change_nothing(tmp_path, reference):
    pool = Invented(tmp_path, workers=3, pause=0.02)
    pool.prepare(silent)
    assert sorted(pool.runs) == [0, 1, 2]
    assert_equal(content(pool), reference)


@pytest.mark.parametrize("file", ["test_gaps.npy", "validation_probabilities.npy", "record.json"])
@pytest.mark.parametrize("damage", ["truncated", "altered", "removed"])
def test_damaged_outputs_of_a_model_are_named_and_made_anew(tmp_path, reference, caplog, file, damage):
    first = Invented(tmp_path)
    first.prepare(silent)
    path = next((tmp_path / "outputs" / model.key) for model in first._chosen[1:2]) / file
    hurt(path, damage)
    for stack in (tmp_path / "outputs" / "pools").rglob("*.npy"):
        stack.unlink()
    second = Invented(tmp_path)
    with caplog.at_level(logging.WARNING):
        second.prepare(silent)
        assert_equal(content(second), reference)
    assert second.runs == [1]
    assert (str(path) in caplog.text) == (file != "record.json" or damage != "removed")
    assert second.fingerprint == first.fingerprint


@pytest.mark.parametrize("file", ["probabilities.npy", "gaps.npy", "record.json"])
@pytest.mark.parametrize("damage", ["truncated", "altered", "removed"])
def test_damage_of_the_whole_is_found_before_it_is_used(tmp_path, reference, caplog, file, damage):
    pool = Invented(tmp_path)
    pool.prepare(silent)
    for path in (tmp_path / "outputs" / "pools").rglob(file):
        hurt(path, damage)
    with caplog.at_level(logging.WARNING):
        assert_equal(content(pool), reference)
    assert pool.runs == [0, 1, 2]
    assert (f"validation/{file} is damaged" in caplog.text) == (file != "record.json" or damage != "removed")


def hurt(path: Path, damage: str) -> None:
    data = bytearray(path.read_bytes())
    if damage == "removed":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(data[:-3])
    else:
        data[-5] ^= 1
        path.write_bytes(data)


def test_a_model_that_answers_otherwise_the_second_time_is_named(tmp_path, monkeypatch, caplog):
    """Last digits differ between processors that share a cache: its key says that weights, data and code are equal."""
    pool = Invented(tmp_path)
    pool.prepare(silent)
    for path in [
        *(tmp_path / "outputs" / "pools").rglob("*.npy"),
        tmp_path / "outputs" / pool._chosen[2].key / "record.json",
    ]:
        path.unlink()
    monkeypatch.setattr("tests.pool.pools.logits", lambda seed, split: 1.01 * logits(seed, split))
    with caplog.at_level(logging.WARNING):
        found = pool.outputs("test")
    assert "the pool's model model_2 gives other outputs than before, which are used now" in caplog.text
    expected = softmax(1.01 * logits(2, "test"), axis=1)
    np.testing.assert_allclose(found.probabilities[2], expected, rtol=1e-3, atol=1e-6)


def test_the_fingerprint_is_of_weights_data_and_code_not_of_outputs(tmp_path, monkeypatch):
    here, elsewhere = Invented(tmp_path / "here"), Invented(tmp_path / "elsewhere")
    here.prepare(silent)
    monkeypatch.setattr("tests.pool.pools.logits", lambda seed, split: (1 + 1e-6) * logits(seed, split))
    elsewhere.prepare(silent)
    assert (here.outputs("test").gaps != elsewhere.outputs("test").gaps).any()
    assert here.fingerprint == elsewhere.fingerprint


def test_costs_belong_to_the_pool_not_to_the_stored_outputs(tmp_path):
    Invented(tmp_path).prepare(silent)
    other = Invented(tmp_path, changes={seed: {"costs": {"latency": 0.25, "energy": 1.0}} for seed in range(3)})
    other.prepare(silent)
    assert other.runs == []
    assert set(other.costs) == {"energy", "flops", "latency"}
    np.testing.assert_array_equal(other.costs["latency"], [0.25, 0.25, 0.25])


def test_failures_end_it(tmp_path):
    with pytest.raises(RunError, match="the pool's model model_1 cannot be used: no weights of 1"):
        Invented(tmp_path, failing=(1,)).prepare(silent)


def test_failures_are_left_out_and_reported_once(tmp_path, caplog):
    pool = Invented(tmp_path, failing=(0, 2), k=4, skip_failed=True)
    with caplog.at_level(logging.WARNING):
        pool.prepare(silent)
    assert pool.names == ("model_1", "model_3")
    assert pool.failed == {"model_0": "no weights of 0", "model_2": "no weights of 2"}
    assert [record.message for record in caplog.records] == [
        "2 models are left out of the pool: model_0 (no weights of 0); model_2 (no weights of 2)"
    ]
    np.testing.assert_array_equal(pool.outputs("test").gaps.shape, (2, 30))


def test_a_pool_without_any_model_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no model of the pool can be used: no weights of 0"):
        Invented(tmp_path, failing=(0,), k=1, skip_failed=True).prepare(silent)


def test_outputs_of_the_wrong_shape_are_refused(tmp_path):
    fewer = {split: values[:-1] for split, values in labels().items()}
    with pytest.raises(RunError, match=r"model_0 cannot be used: its outputs on the validation split have the shape"):
        Invented(tmp_path, k=1, changes={0: {"labels": fewer}}).prepare(silent)


def other_labels(split: str) -> dict[str, np.ndarray]:
    found = labels()
    found[split] = found[split].copy()
    found[split][7] = 0
    return found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": other_labels("validation")}, "the label of validation image 7 is 1 and 0"),
        ({"labels": other_labels("test")}, "the label of test image 7 is 1 and 0"),
        ({"labels": {**labels(), "test": labels()["test"][:-2]}}, "30 and 28 test images"),
        ({"labels": {"validation": labels()["validation"]}}, "outputs on validation, test and on validation"),
        ({"class_names": ("a", "b")}, "3 and 2 classes"),
        ({"class_names": ("a", "c", "b")}, "class 1 is 'b' and 'c'"),
        ({"data": {"split_seed": 1}}, "their data differ, split_seed is None and 1"),
    ],
)
def test_models_that_disagree_are_named(tmp_path, change, message):
    pool = Invented(tmp_path, changes={2: change})
    with pytest.raises(UserError, match=f"the pool's models model_0 and model_2 do not fit each other: {message}"):
        pool.prepare(silent)
    assert pool.runs == []


def test_outputs_need_preparation(tmp_path):
    with pytest.raises(RunError, match="before they were prepared"):
        Invented(tmp_path).outputs("validation")


@pytest.mark.slow
def test_a_killed_process_is_gone_on_with(tmp_path):
    """Kill it while the third of six models runs."""
    command = [sys.executable, "-m", "tests.pool.pools", str(tmp_path / "killed")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(3)] == ["0", "1", "2"]
        process.send_signal(signal.SIGKILL)
    resumed, undisturbed = Invented(tmp_path / "killed", k=6), Invented(tmp_path / "undisturbed", k=6)
    for pool in (resumed, undisturbed):
        pool.prepare(silent)
    assert resumed.runs == [2, 3, 4, 5]
    assert resumed.fingerprint == undisturbed.fingerprint
    assert_equal(content(resumed), content(undisturbed))


@pytest.mark.slow
def test_killed_at_random_moments_the_outputs_are_the_same(tmp_path):
    command = [sys.executable, "-m", "tests.pool.pools", str(tmp_path / "killed")]
    rng = np.random.default_rng(0)
    for _ in range(12):
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.6))
            process.kill()
    resumed, undisturbed = Invented(tmp_path / "killed", k=6), Invented(tmp_path / "undisturbed", k=6)
    for pool in (resumed, undisturbed):
        pool.prepare(silent)
    assert len(resumed.runs) < 6
    assert_equal(content(resumed), content(undisturbed))


def test_two_at_once_run_each_model_once(tmp_path, reference):
    pools = [Invented(tmp_path, pause=0.05) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda pool: pool.prepare(silent), pools))
    assert sorted(pools[0].runs + pools[1].runs) == [0, 1, 2]
    for pool in pools:
        assert_equal(content(pool), reference)


@pytest.mark.parametrize("when", [0, 3, 4, 5, 13, 15, 16, 17, 18, 20])
def test_a_process_that_dies_while_storing_is_gone_on_with(tmp_path, reference, monkeypatch, when):
    """Die at each file of a model and of the whole: what is there then does not count."""
    writes = 0

    class Killed(BaseException):
        pass

    def dying(path: Path, write) -> None:
        nonlocal writes
        writes += 1
        if writes > when:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(f".{path.name}.dead.tmp").write_bytes(b"\x93NUMPY")
            raise Killed
        original(path, write)

    original = files.write_atomic
    with monkeypatch.context() as patch:
        for module in (files, array_folder):
            patch.setattr(module, "write_atomic", dying)
        with pytest.raises(Killed):
            Invented(tmp_path).prepare(silent)
    pool = Invented(tmp_path)
    pool.prepare(silent)
    assert_equal(content(pool), reference)
    assert not list(tmp_path.rglob("*.tmp"))
