import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from nas.errors import UserError
from nas.pool.files import FilesPool
from tests.pool.pools import CLASSES, SIZES, labels, logits, silent

SHARED = Path(__file__).parents[3] / "shared" / "reference"
WORDS = {"validation": "val", "test": "test"}


def pool(cache: Path, *folders: Path, **changes: Any) -> FilesPool:
    settings: dict[str, Any] = {
        "folders": folders,
        "content": "probabilities",
        "labels": {"validation": None, "test": None},
        "suffix": "",
        "workers": 1,
        "cache": cache,
    }
    return FilesPool(**(settings | changes))


def ours(folder: Path, k: int = 3, table: str = "models.json", content: str = "probabilities") -> Path:
    """Write outputs in our layout."""
    folder.mkdir(parents=True)
    for seed in range(k):
        values = {split: logits(seed, split) for split in SIZES}
        if content == "probabilities":
            values = {split: softmax(array, axis=1) for split, array in values.items()}
        np.savez(folder / f"net_{seed}.npz", **values)
    rows = [{"name": f"net_{seed}", "flops": 10.5 * (seed + 1), "latency": seed} for seed in range(k)]
    if table == "models.json":
        (folder / table).write_text(json.dumps(rows))
    else:
        with (folder / table).open("w") as file:
            writer = csv.DictWriter(file, ["name", "flops", "latency"])
            writer.writeheader()
            writer.writerows(rows)
    np.savez(folder / "labels.npz", **labels())
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    return folder


def original(folder: Path, suffix: str = "", gaps: bool = True, **info: Any) -> Path:
    """Write outputs as ENCAS's tool does."""
    for split, word in WORDS.items():
        outputs, distances = (folder / f"{kind}_{word}{suffix}" for kind in ("output_distrs", "logit_gaps"))
        for place in (outputs, *([distances] if gaps else [])):
            place.mkdir(parents=True)
        for seed in range(3):
            values = logits(seed, split)
            ordered = np.sort(values, axis=1)
            save(outputs / f"{seed}.npy.gz", softmax(values, axis=1).astype(np.float16))
            if gaps:
                save(distances / f"{seed}.npy.gz", (ordered[:, -1] - ordered[:, -2]).astype(np.float16))
        (outputs / "info.json").write_text(json.dumps({word: [1, 2, 3], "flops": [5.0, 6.0, 7.5]} | info))
    return folder


def save(path: Path, values: np.ndarray) -> None:
    with gzip.open(path, "wb") as file:
        np.save(file, values)


def label_files(folder: Path) -> dict[str, Path]:
    files = {split: folder / f"labels_{split}.npy" for split in SIZES}
    for split, path in files.items():
        np.save(path, labels()[split])
    return files


def assert_right(found: FilesPool, k: int = 3) -> None:
    for split in SIZES:
        outputs = found.outputs(split)
        expected = np.stack([logits(seed % 3, split) for seed in range(k)])
        ordered = np.sort(expected, axis=2)
        np.testing.assert_allclose(outputs.probabilities, softmax(expected, axis=2), rtol=2e-3, atol=1e-6)
        np.testing.assert_allclose(outputs.gaps, ordered[:, :, -1] - ordered[:, :, -2], atol=2e-3)
        np.testing.assert_array_equal(outputs.labels, labels()[split])


@pytest.mark.parametrize("table", ["models.json", "models.csv"])
@pytest.mark.parametrize("content", ["probabilities", "logits"])
def test_our_layout(tmp_path, table, content):
    found = pool(tmp_path / "cache", ours(tmp_path / "mine", table=table, content=content), content=content)
    found.prepare(silent)
    assert found.names == ("mine/net_0", "mine/net_1", "mine/net_2")
    assert found.groups == ("mine",) * 3
    assert found.class_names == CLASSES
    np.testing.assert_array_equal(found.costs["flops"], [10.5, 21, 31.5])
    np.testing.assert_array_equal(found.costs["latency"], [0, 1, 2])
    assert_right(found)


def test_single_arrays_and_own_labels(tmp_path):
    folder = ours(tmp_path / "mine", k=1)
    for name in ("net_0.npz", "labels.npz"):
        (folder / name).unlink()
    for split in SIZES:
        np.save(folder / f"net_0.{split}.npy", softmax(logits(0, split), axis=1))
        np.save(folder / f"net_0.{split}_labels.npy", labels()[split])
        np.save(folder / f"net_0.{split}_gaps.npy", np.full(SIZES[split], 2.5))
    found = pool(tmp_path / "cache", folder)
    found.prepare(silent)
    np.testing.assert_array_equal(found.outputs("test").gaps, np.full((1, SIZES["test"]), 2.5))


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("suffix", ["", "_swa20"])
def test_the_original_layout(tmp_path, suffix, gaps):
    folder = original(tmp_path / "run", suffix, gaps, cfgs=[{"d": [1]}, [1, 2], {"d": [3]}])
    found = pool(tmp_path / "cache", folder, suffix=suffix, labels=label_files(tmp_path))
    found.prepare(silent)
    assert found.names == ("run/net_0", "run/net_1", "run/net_2")
    assert found.architectures == ({"d": [1]}, {"config": [1, 2]}, {"d": [3]})
    assert found.class_names == ("0", "1", "2")
    np.testing.assert_array_equal(found.costs["flops"], [5, 6, 7.5])
    assert_right(found)


def test_the_original_names_of_timm_models(tmp_path):
    folder = original(tmp_path / "0", net_names=["a", "b", "c"])
    found = pool(tmp_path / "cache", folder, labels=label_files(tmp_path))
    found.prepare(silent)
    assert found.names == ("0/a", "0/b", "0/c")


def test_several_folders_make_one_pool(tmp_path):
    folders = [ours(tmp_path / "x" / "seed_0"), original(tmp_path / "y" / "seed_0")]
    (folders[0] / "classes.txt").unlink()
    found = pool(tmp_path / "cache", *folders, labels=label_files(tmp_path))
    found.prepare(silent)
    assert found.groups == ("x/seed_0",) * 3 + ("y/seed_0",) * 3
    assert set(found.costs) == {"flops"}
    assert_right(found, k=6)


def test_files_that_change_are_read_again(tmp_path):
    folder = ours(tmp_path / "mine")
    first = pool(tmp_path / "cache", folder)
    first.prepare(silent)
    np.savez(folder / "net_1.npz", **{split: np.full((size, 3), 1 / 3) for split, size in SIZES.items()})
    second = pool(tmp_path / "cache", folder)
    second.prepare(silent)
    assert second.fingerprint != first.fingerprint
    np.testing.assert_allclose(second.outputs("test").probabilities[1], 1 / 3, rtol=1e-3)


def test_a_pool_may_lack_the_test_split(tmp_path):
    folder = ours(tmp_path / "mine")
    for seed in range(3):
        np.savez(folder / f"net_{seed}.npz", validation=softmax(logits(seed, "validation"), axis=1))
    found = pool(tmp_path / "cache", folder)
    found.prepare(silent)
    assert found.splits == ("validation",)
    with pytest.raises(UserError, match="no outputs on the test split"):
        found.outputs("test")


def replace(folder: Path, **arrays: np.ndarray) -> None:
    whole = {split: softmax(logits(1, split), axis=1) for split in SIZES}
    np.savez(folder / "net_1.npz", **(whole | arrays))


THIRDS = {split: np.full((size, 3), 1 / 3) for split, size in SIZES.items()}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"test": THIRDS["test"][:-1]},
            "models mine/net_0 and mine/net_1 do not fit each other: 30 and 29 test images",
        ),
        ({"test": THIRDS["test"][:, :2]}, r"net_1: outputs on the test split have the shape \(30, 2\)"),
        ({"validation": np.zeros(40)}, r"net_1: outputs on the validation split have the shape \(40,\)"),
        ({"validation_labels": labels()["validation"][::-1]}, "net_0 and mine/net_1 do not .* validation image 1 is"),
        ({"validation_labels": labels()["validation"] + 1}, "labels are not 0 to 2"),
        ({"validation_labels": np.zeros(40)}, "holds no labels"),
        ({"validation": 2 * THIRDS["validation"]}, "net_1 cannot be used: its outputs are no probabilities"),
        ({"validation": np.zeros((40, 3), int)}, "of the type int64, not floating"),
        ({"test_gaps": np.zeros(3)}, r"gaps on the test split have the shape \(3,\)"),
        ({"test": np.array([[{}] * 3] * 30, dtype=object)}, "net_1.npz, array test' cannot be read"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, arrays, message):
    folder = ours(tmp_path / "mine")
    replace(folder, **arrays)
    with pytest.raises(UserError, match=message):
        pool(tmp_path / "cache", folder).prepare(silent)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("models.json", "{", "models.json' cannot be read"),
        ("models.json", "[]", "must list at least one model"),
        ("models.json", "[1]", "must list at least one model"),
        ("models.json", '[{"name": "../net_0", "flops": 1}]', "is no name of a model"),
        ("models.json", '[{"name": "net_0"}]', "flops of net_0 are missing"),
        ("models.json", '[{"name": "net_0", "flops": "many"}]', "flops of net_0 are 'many'"),
        ("models.json", '[{"name": "net_0", "flops": NaN}]', "flops of net_0 are nan"),
        ("models.json", '[{"name": "net_9", "flops": 1}]', "lacks the outputs of net_9"),
        (
            "models.json",
            '[{"name": "net_0", "flops": 1}, {"name": "net_0", "flops": 1}]',
            "two models are called mine/",
        ),
        ("classes.txt", "a\nb\n", "has 2 names, mine/net_0 has 3 classes"),
        ("labels.npz", "", "labels.npz' cannot be read"),
    ],
)
def test_damaged_folders_are_refused(tmp_path, file, text, message):
    folder = ours(tmp_path / "mine")
    (folder / file).write_text(text)
    with pytest.raises(UserError, match=message):
        pool(tmp_path / "cache", folder)


def test_folders_without_models_or_labels_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds neither models.json nor models.csv nor output_distrs_val,"):
        pool(tmp_path / "cache", tmp_path)
    folder = ours(tmp_path / "mine")
    (folder / "labels.npz").unlink()
    with pytest.raises(UserError, match=r"holds no validation labels: add labels.npz, or give pool.labels.validation"):
        pool(tmp_path / "cache", folder)


@pytest.mark.parametrize("info", [{"flops": None}, {"flops": []}, {"net_names": ["a"]}])
def test_damaged_original_folders_are_refused(tmp_path, info):
    folder = original(tmp_path / "run", **info)
    with pytest.raises(UserError, match=r"info.json'"):
        pool(tmp_path / "cache", folder, labels=label_files(tmp_path))


@pytest.mark.skipif(not (SHARED / "cascade.npz").exists(), reason="needs shared/reference/cascade.npz")
def test_reference_outputs(tmp_path):
    """What ENCAS's own evaluation was recorded on comes through unchanged."""
    stored = np.load(SHARED / "cascade.npz")
    (tmp_path / "mine").mkdir()
    k = len(stored["outputs"])
    for j, probabilities in enumerate(stored["outputs"]):
        np.savez(tmp_path / "mine" / f"net_{j}.npz", validation=probabilities)
    rows = [{"name": f"net_{j}", "flops": float(stored["mflops"][j])} for j in range(k)]
    (tmp_path / "mine" / "models.json").write_text(json.dumps(rows))
    np.savez(tmp_path / "mine" / "labels.npz", validation=stored["labels"])
    found = pool(tmp_path / "cache", tmp_path / "mine")
    found.prepare(silent)
    np.testing.assert_array_equal(found.outputs("validation").probabilities, stored["outputs"])
