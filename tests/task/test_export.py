"""``task=export`` from the command line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import nas
from nas.export.onnx import Onnx
from nas.run.finished import FinishedRun
from nas.task import export

SCRIPT = """
import sys
import numpy, onnxruntime
file = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
names = [output.name for output in file.get_outputs()]
found = file.run(None, {"images": numpy.load(sys.argv[2])})
numpy.savez(sys.argv[3], **dict(zip(names, found)))
assert not {"torch", "nas"} & set(sys.modules)
print(file.get_modelmeta().custom_metadata_map["description"])
"""

QUICK = ("task=export", "device=cpu", "paths.cache=cache", "task.images=40", "task.repeats=1", "task.warmup=0")


@pytest.fixture
def place(runs, tmp_path) -> Path:
    """Where ``launch`` works; the runs' folders are there, under their own names."""
    for name in ("alone", "encas", "cache"):
        shutil.copytree(runs / name, tmp_path / name)
    return tmp_path


def pixels(place: Path) -> np.ndarray:
    """Return test images, float32, scaled to 0..1."""
    run = FinishedRun(place / "alone", key="run", device="cpu", cache=place / "cache")
    return run.dataset.split("test").pixels[:].astype(np.float32) / 255


def by_script(file: Path, images: np.ndarray, folder: Path) -> tuple[dict[str, np.ndarray], str]:
    """Return what a plain script gets from an ONNX file, and what it prints."""
    (folder / "script.py").write_text(SCRIPT)
    np.save(folder / "images.npy", images)
    words = [sys.executable, "-I", str(folder / "script.py"), str(file), str(folder / "images.npy"), str(folder / "o")]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    with np.load(folder / "o.npz") as found:
        return dict(found), done.stdout.strip()


@pytest.mark.slow
def test_an_architecture_as_onnx_in_a_plain_script(launch, place, monkeypatch):
    code, out, err = launch(*QUICK, "run=alone")
    assert code == 0, err
    assert "on 40 test images the same answers" in out and "alone/export/export.json" in out
    (file,) = (place / "alone" / "export").glob("*.onnx")
    report = json.loads((file.parent / "export.json").read_text())[file.name]
    assert report["format"] == "onnx" and report["parity"]["images"] == 40 and report["parity"]["other_answers"] == 0
    assert report["size_mb"]["file"] == pytest.approx(file.stat().st_size / 1e6)
    assert set(report["latency_ms"]) == {"1", "32"}
    assert all(value > 0 for found in report["latency_ms"].values() for value in found.values())
    images = pixels(place)
    found, printed = by_script(file, images, place)
    assert printed == "images (n, 3, height, width), float32, RGB, pixels scaled to 0..1, to logits (n, classes)"
    monkeypatch.setenv("NAS_CACHE", str(place / "cache"))
    with torch.no_grad():
        expected = nas.load(place / "alone")(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found["logits"], expected, rtol=0, atol=1e-3)
    np.testing.assert_array_equal(found["logits"].argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.long
def test_a_cascade_as_torchscript(launch, place):
    code, out, err = launch(*QUICK, "format=torchscript", "run=encas", "arch=0")
    assert code == 0, err
    assert "to probabilities (n, classes), predictions (n), stages (n), costs" in out
    report = json.loads((place / "encas" / "export" / "export.json").read_text())["cascade-0.torchscript"]
    assert report["outputs"] == ["probabilities", "predictions", "stages", "costs"]
    assert report["parity"]["other_stages"] == 0 and report["any_height_and_width"] is True


@pytest.mark.slow
@pytest.mark.long
def test_a_cascade_as_onnx_in_a_plain_script(launch, place, monkeypatch):
    front = json.loads((place / "encas" / "front.json").read_text())["front"]
    index = int(np.argmax([len(member["architecture"]["networks"]) for member in front]))
    code, _, err = launch(*QUICK, "run=encas", f"arch={index}")
    assert code == 0, err
    images = pixels(place)
    found, _ = by_script(place / "encas" / "export" / f"cascade-{index}.onnx", images, place)
    monkeypatch.setenv("NAS_CACHE", str(place / "cache"))
    monkeypatch.chdir(place)
    expected = nas.load(place / "encas", index)(torch.from_numpy(images))
    assert len(set(expected.stages.tolist())) > 1
    np.testing.assert_array_equal(found["predictions"], expected.predictions.numpy())
    np.testing.assert_array_equal(found["stages"], expected.stages.numpy())
    np.testing.assert_allclose(found["probabilities"], expected.probabilities.numpy(), rtol=0, atol=1e-4)
    np.testing.assert_array_equal(found["costs"], expected.costs.numpy())


@pytest.mark.parametrize(("name", "ending"), [("torchscript", "torchscript"), ("torch_export", "pt2")])
@pytest.mark.long
def test_the_other_formats(name, ending, launch, place):
    code, out, err = launch(*QUICK, f"format={name}", "run=alone", "arch=0", f"path=files/a.{ending}")
    assert code == 0, err
    assert f"files/a.{ending}" in out
    code, _, err = launch(*QUICK, f"format={name}", "run=alone", "arch=0", f"path=files/b.{ending}")
    assert code == 0, err
    assert sorted(json.loads((place / "files" / "export.json").read_text())) == [f"a.{ending}", f"b.{ending}"]
    assert not (place / "alone" / "export").exists()


@pytest.mark.long
def test_without_preprocessing(launch, place):
    code, out, err = launch(*QUICK, "format=torchscript", "run=alone", "arch=0", "preprocessing=false")
    assert code == 0, err
    assert "images (n, 3, 8, 8), float32, RGB, normalised pixels, to logits" in out
    assert (place / "alone" / "export" / "net-0-normalised.torchscript").is_file()
    code, _, err = launch(*QUICK, "format=torchscript", "run=encas", "arch=0", "preprocessing=false")
    assert code == 2 and "preprocessing=false is for single networks" in err


@pytest.mark.long
def test_a_model_of_timm(launch, place):
    words = ("model=timm:test_resnet", "weights=random", "dataset=digits", "dataset.vld_size=100")
    code, _, err = launch(*QUICK, "format=torchscript", *words, "task.images=5")
    assert code == 0, err
    assert (place / "test_resnet.torchscript").is_file() and (place / "export.json").is_file()


@pytest.mark.long
def test_an_existing_file_is_kept_unless_it_may_go(launch, place):
    words = (*QUICK, "format=torchscript", "run=alone", "arch=0", "path=a.torchscript")
    (place / "a.torchscript").write_text("mine")
    code, _, err = launch(*words)
    assert code == 2 and "'a.torchscript' exists; add overwrite=true" in err
    assert (place / "a.torchscript").read_text() == "mine"
    assert launch(*words, "overwrite=true")[0] == 0
    assert (place / "a.torchscript").stat().st_size > 1000


@pytest.mark.long
def test_a_file_that_is_not_the_model_is_not_written(launch, place, monkeypatch):
    class Other(Onnx):  # type: ignore[misc]
        def write(self, source, path):
            path.write_bytes(b"")

        def read(self, path, threads):
            return lambda images: {"logits": np.zeros((len(images), 10), dtype=np.float32)}

    monkeypatch.setattr(export, "FORMATS", {"onnx": Other()})
    code, _, err = launch(*QUICK, "run=alone", "path=new/a.onnx")
    assert code == 1 and err.count("\n") == 1
    assert "nothing was written: the onnx file is not the model: outputs differ by up to" in err
    assert not (place / "new").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run=alone", "format=tflite"), "format='tflite' is wrong"),
        (("run=alone", "arch=99"), "arch=99 is no member of the front in 'alone', which has 0 to"),
        (("run=alone", "arch=-1"), "arch=-1 is no member"),
        (("run=alone", "arch=nothing.subnet"), "arch=nothing.subnet is no file that exists"),
        (("run=nowhere",), "run=nowhere is no folder that exists"),
        ((), "name one model: run=FOLDER"),
        (("run=alone", "path=a.pt"), "path=a.pt must be a file that ends in .onnx"),
        (("run=alone", "path=cache"), "path=cache must be a file that ends in .onnx"),
        (("run=alone", "task.images=0"), "task.images=0 is wrong"),
        (("run=alone", "task.batch_sizes=[0]"), "task.batch_sizes[0]=0 is wrong"),
        (("run=alone", "imagse=3"), "unknown key 'imagse'"),
        (("model=timm:resnet18", "weights=random"), "add dataset=NAME"),
        (("model=timm:resnet1", "weights=random", "dataset=digits"), "has no model 'resnet1'; did you mean"),
    ],
)
def test_wrong_words_are_one_line(words, message, launch, place):
    before = sorted(place.iterdir())
    code, _, err = launch(*QUICK, *words)
    assert code == 2 and err.startswith("error: ") and err.count("\n") == 1
    assert message in err
    assert sorted(place.iterdir()) == before and not (place / "alone" / "export").exists()


@pytest.mark.long
def test_a_cascade_whose_pool_is_gone(launch, place):
    (place / "alone").rename(place / "gone")
    code, _, err = launch(*QUICK, "run=encas", "arch=0")
    assert code == 2 and err.count("\n") == 1 and "alone" in err
    assert not (place / "encas" / "export").exists()


@pytest.mark.long
def test_a_damaged_report_is_not_overwritten(launch, place):
    (place / "export.json").write_text("{")
    code, _, err = launch(*QUICK, "run=alone", "path=a.onnx")
    assert code == 2 and "'export.json' is damaged" in err
    assert not (place / "a.onnx").exists()
