import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.model.test_find import PUBLISHED
from tests.rounding import rounding

SMALL = "timm:mobilenetv3_small_050"


def photos(folder: Path, classes: int, side: int = 32) -> None:
    """Write a folder of class folders with twelve images each."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for label in range(classes):
        (folder / f"class{label}").mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 255, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"class{label}" / f"{index}.png")


IMAGES = ("dataset=imagefolder", "dataset.path=photos", "dataset.size=32", "paths.cache=cache", "device=cpu")


@pytest.fixture
def place(runs, tmp_path) -> Path:
    for name in ("alone", "encas"):
        shutil.copytree(runs / name, tmp_path / name)
    return tmp_path


def words_of(runs: Path) -> tuple[str, ...]:
    return f"paths.cache={runs / 'cache'}", "device=cpu"


def results(folder: Path) -> dict:
    assert {path.name for path in folder.iterdir()} == {"results.json", "classes.csv", "confusion.png"}
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_member_of_a_front_is_worth_what_the_run_says(launch, runs, place, split):
    code, out, err = launch("task=validate", "run=alone", f"split={split}", *words_of(runs))
    assert code == 0, err
    found = results(place / "alone" / "validation" / "net-0" / split)
    front = json.loads((place / "alone" / "front.json").read_text())["front"]
    measured = front[0]["test" if split == "test" else "metrics"]
    for name in ("top1", "top5"):
        assert found["metrics"][name] == pytest.approx(measured[name], abs=rounding(450))
    assert found["metrics"]["loss"] == pytest.approx(measured["loss"], rel=1e-3)
    assert found["costs"] == {"flops": measured["flops"], "params": measured["params"]}
    assert 0 < found["metrics"]["calibration_error"] < 100
    assert found["speed"]["images_per_second"] > 0 and found["peak_memory_mib"] > 50
    assert f"top-1 {found['metrics']['top1']:.2f} %" in out and "15 bins" in out
    with (place / "alone" / "validation" / "net-0" / split / "classes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [str(i) for i in range(10)]
    assert sum(int(row["images"]) for row in rows) == found["images"]["number"] == 450
    share = 100 * sum(int(row["right"]) for row in rows) / 450
    assert share == pytest.approx(found["metrics"]["top1"])


def test_statistics_on_and_off(launch, runs, place):
    losses = []
    for name, value in (("test", "null"), ("test-recalibrated", "true"), ("test-inherited", "false")):
        code, _, err = launch("task=validate", "run=alone", f"recalibrate={value}", *words_of(runs))
        assert code == 0, err
        losses.append(results(place / "alone" / "validation" / "net-0" / name)["metrics"]["loss"])
    assert losses[0] == losses[1] != losses[2]


def test_a_cascade(launch, runs, place):
    front = json.loads((place / "encas" / "front.json").read_text())["front"]
    index = int(np.argmax([len(member["architecture"]["networks"]) for member in front]))
    code, out, err = launch("task=validate", "run=encas", f"arch={index}", *words_of(runs))
    assert code == 0, err
    found, measured = results(place / "encas" / "validation" / f"cascade-{index}" / "test"), front[index]["test"]
    assert found["metrics"]["top1"] == pytest.approx(measured["top1"], abs=rounding(450))
    assert found["metrics"]["answered_1"] == pytest.approx(measured["answered_1"], abs=rounding(450))
    assert found["costs"]["flops"] == pytest.approx(measured["flops"], rel=0.02)
    assert "answered by the networks: " in out
    assert len(found["model"]["weights"]) == len(front[index]["architecture"]["networks"])


def test_a_published_net_config_with_random_weights(launch, place):
    photos(place / "photos", 10)
    (place / "net.config").write_text(json.dumps(PUBLISHED[0]["config"]))
    code, out, err = launch(
        "task=validate", "model=net.config", "weights=random", "r=32", "recalibrate=true", "path=found", *IMAGES
    )
    assert code == 0, err
    assert results(place / "found")["model"]["kind"] == "net_config"
    assert "M FLOPs" in out


@pytest.mark.slow
def test_a_model_of_timm(launch, place):
    photos(place / "photos", 3)
    for storage in ("cache", "files"):
        found = []
        for batch in (5, 100):
            more = (f"dataset.storage={storage}", f"task.batch_size={batch}")
            code, _, err = launch("task=validate", f"model={SMALL}", "weights=random", "r=32", *IMAGES, *more)
            assert code == 0, err
            folder = place / "outputs" / "validation" / "mobilenetv3_small_050"
            found.append(results(next(folder.iterdir()))["metrics"])
        assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_other_images_of_the_same_classes(launch, runs, place):
    photos(place / "photos", 10)
    code, _, err = launch("task=validate", "run=alone", *IMAGES, f"paths.cache={runs / 'cache'}")
    assert code == 0, err
    assert results(place / "alone" / "validation" / "net-0" / "imagefolder-test")["images"]["number"] < 60


def test_classes_are_matched_by_name(launch, runs, place):
    """The same pictures in folders with the model's names in another order, with some of them, and with others."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    words, found = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], {}
    for number, (pixels, label) in enumerate(zip(digits.images[:200], digits.target, strict=False)):
        for folder, name in (("words", words[label]), ("fewer", words[label]), ("letters", "abcdefghij"[label])):
            if folder != "fewer" or label < 5:
                path = place / folder / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray((pixels * 15.9).astype(np.uint8)).save(path)
    code, _, err = launch("task=select", "run=alone", "n=1", *words_of(runs))
    assert code == 0, err
    model = min((place / "alone" / "selected").glob("*/model.json")).parent
    described = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps(described | {"class_names": words}))
    images = ("dataset=imagefolder", "dataset.size=8", *words_of(runs))
    for folder in ("words", "fewer"):
        code, _, err = launch("task=validate", f"model={model}", f"dataset.path={folder}", f"save=of_{folder}", *images)
        assert code == 0, err
        found[folder] = results(place / f"of_{folder}")
    assert found["words"]["metrics"]["top1"] > 35 and found["fewer"]["metrics"]["top1"] > 35
    assert "5 of the 10 classes of" in err
    code, _, err = launch("task=validate", f"model={model}", "dataset.path=letters", "save=no", *images)
    assert code == 2 and not (place / "no").exists()
    assert "has other classes than the data set: the model alone has 'zero', 'one', 'two' and 7 more, the data" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one model: run=FOLDER (and arch=INDEX), or model=FOLDER, FILE or timm:NAME"),
        (["run=alone", "model=alone"], "name one model"),
        (["run=nowhere"], "run=nowhere is no folder that exists"),
        (["run=alone", "arch=99"], "arch=99 is no member of the front in 'alone', which has 0 to"),
        (["run=alone", "split=training"], "split='training' is wrong"),
        (["run=alone", "dataset=imagefolder", "dataset.path=photos"], "net-0 has 10 classes, the data set has 3"),
        (["model=net.config", "weights=random"], "does not say the resolution"),
        (
            ["model=net.config", "weights=random", "r=32"],
            "which images to measure the model on is unknown: add dataset",
        ),
        (["model=net.config", "weights=wrong.pth", "r=32"], "holds the weights of another architecture"),
        (
            ["model=net.config", "weights=random", "r=32", "dataset=imagefolder", "dataset.path=photos"],
            "10 classes, the",
        ),
        (["model=timm:nothing9", "dataset=digits"], "has no model 'nothing9'"),
        (
            ["model=timm:resnet18", "dataset=digits"],
            "timm's weights of resnet18 have 1,000 classes, the data set has 10",
        ),
        (["run=alone", "path=net.config"], "net.config is not a folder you may write to"),
        (["run=alone", "bacth=3"], "unknown key 'bacth'"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(launch, runs, place, arguments, message):
    import torch

    photos(place / "photos", 3)
    torch.save({"weight": torch.zeros(2)}, place / "wrong.pth")
    (place / "net.config").write_text(json.dumps(PUBLISHED[0]["config"] | {"img_size": None}))
    before = sorted(place.rglob("*"))
    code, _, err = launch("task=validate", *arguments, *words_of(runs))
    assert code == 2
    assert message in err and len(err.strip().splitlines()) == 1
    assert sorted(place.rglob("*")) == before
