import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

import nas
from nas.finetuning.trainer import Trainer
from nas.run.folder import RunFolder
from nas.training import checkpoint
from tests.marks import slow_but
from tests.task.test_search import SMALL

QUICK = (
    "task=finetune",
    "tracker=csv",
    "device=cpu",
    "paths.cache=cache",
    "finetuning.epochs=2",
    "finetuning.batch_size=256",
    "paths.run=tuned",
)
RESULT = {"model.json", "model.safetensors", "net.subnet", "net.config", "net.inherited", "README.md", "summary.csv"}
FROM_RUN = (*QUICK, "run=run")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture
def finished(shelf, launch, tmp_path):
    """A folder ``run`` of a finished search on digits, whose networks have random weights."""
    if not (shelf / "run").exists():
        code, _, err = launch(*SMALL, "device=cpu", "paths.cache=cache")
        assert code == 0, err
        shutil.copytree(tmp_path / "run", shelf / "run")
    shutil.copytree(shelf / "run", tmp_path / "run", dirs_exist_ok=True)
    return tmp_path / "run"


def numbers(folder: Path) -> list[list[str]]:
    return [line.split(",") for line in (folder / "summary.csv").read_text().splitlines()[1:]]


def test_an_architecture_of_a_run_becomes_the_folder_of_a_model(finished, launch, tmp_path):
    learning = ("arch=1", "finetuning.lr=0.02", "finetuning.epochs=4", "finetuning.batch_size=64")
    code, out, err = launch(*FROM_RUN, *learning)
    assert code == 0, err
    tuned = tmp_path / "tuned"
    assert {path.name for path in tuned.iterdir()} >= RESULT
    described = json.loads((tuned / "model.json").read_text())
    rows = numbers(tuned)
    assert len(rows) == 5
    assert described["metrics"]["validation"]["top1"] == max(float(row[i]) for row in rows for i in (4, 7))
    assert described["metrics"]["validation"]["top1"] > float(rows[0][4])
    assert f"{described['metrics']['test']['top1']:.2f} %" in out
    assert described["source"]["from"].startswith("run ")
    network = nas.load(tuned)
    data = yaml.safe_load((tuned / "config.yaml").read_text())
    assert data["dataset"]["_target_"].endswith("NoImages")  # it was trained on the run's
    from sklearn.datasets import load_digits

    images = torch.from_numpy(load_digits().images / 16).float()[:, None].expand(-1, 3, -1, -1)
    right = network(images.contiguous()).argmax(dim=1).numpy() == load_digits().target
    assert 100 * right.mean() == pytest.approx(described["metrics"]["test"]["top1"], abs=6)
    assert json.loads((tuned / "status.json").read_text())["state"] == "finished"
    code, out, err = launch(*FROM_RUN, *learning)
    assert (code, out.split(":")[0]) == (0, "This fine-tuning is finished"), err


@pytest.mark.slow
def test_a_killed_one_goes_on_with_the_same_command(finished, launch, tmp_path, monkeypatch):
    code, _, err = launch(*FROM_RUN, "paths.run=whole")
    assert code == 0, err
    real, calls = Trainer.train_epoch, []

    def interrupted(self, number, told):
        calls.append(number)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, number, told)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_epoch", interrupted)
        code, _, _ = launch(*FROM_RUN)
    assert code == 130
    assert len(numbers(tmp_path / "tuned")) == 2
    calls.clear()
    monkeypatch.setattr(Trainer, "train_epoch", interrupted)
    code, _, err = launch(*FROM_RUN)
    assert code == 0, err
    assert calls == [1]
    for name in ("summary.csv", "model.safetensors", "net.config"):
        assert (tmp_path / "tuned" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    last = [checkpoint.load(tmp_path / name / "checkpoints" / "last.pt") for name in ("tuned", "whole")]
    assert checkpoint._digest(last[0]) == checkpoint._digest(last[1])


@pytest.mark.long
def test_its_result_is_trained_further_on_other_classes(finished, launch, tmp_path):
    code, _, err = launch(*FROM_RUN, "finetuning.epochs=1")
    assert code == 0, err
    again = (*QUICK, "model=tuned", "paths.run=further", *two_classes(tmp_path))
    code, _, err = launch(*again)
    assert code == 2
    assert "has 10 classes, the data set has 2: name another data set, or add finetuning.new_classifier=true" in err
    assert not (tmp_path / "further").exists()
    code, _, err = launch(*again, "finetuning.new_classifier=true", "finetuning.epochs=1")
    assert code == 0, err
    described = json.loads((tmp_path / "further" / "model.json").read_text())
    assert (described["n_classes"], described["class_names"]) == (2, ["black", "white"])
    assert nas.load(tmp_path / "further")(torch.rand(3, 3, 8, 8)).shape == (3, 2)
    config = json.loads((tmp_path / "further" / "net.config").read_text())
    assert config["classifier"]["out_features"] == 2


def two_classes(folder: Path) -> tuple[str, ...]:
    """Write images of two classes and return the settings that name them."""
    from PIL import Image

    for label, value in (("black", 40), ("white", 210)):
        for number in range(20):
            path = folder / "images" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (value + number,) * 3).save(path)
    return ("dataset=imagefolder", "dataset.path=images", "dataset.size=8", "dataset.vld_size=6", "dataset.test_size=6")


@pytest.mark.parametrize("teacher", ["supernet", "tuned"])
@pytest.mark.long
def test_it_learns_from_a_teacher(teacher, finished, launch, tmp_path):
    if teacher == "tuned":
        code, _, err = launch(*FROM_RUN, "finetuning.epochs=1")
        assert code == 0, err
    words = (*FROM_RUN, "paths.run=taught", f"finetuning.teacher={teacher}", "finetuning.distillation=1")
    code, _, err = launch(*words)
    assert code == 0, err
    code, _, err = launch(*FROM_RUN, "paths.run=untaught")
    assert code == 0, err
    losses = [numbers(tmp_path / name)[1][2] for name in ("taught", "untaught")]
    assert losses[0] != losses[1]


@pytest.mark.long
def test_a_model_of_timm_with_a_teacher_of_timm(launch, tmp_path):
    timm = ("model=timm:mobilenetv3_small_050", "weights=random", "r=32", "dataset=digits", "finetuning.epochs=1")
    teacher = (
        "finetuning.teacher=timm:mobilenetv3_small_050",
        "finetuning.teacher_weights=random",
        "finetuning.distillation=0.5",
    )
    drops = ("finetuning.dropout=0.1", "finetuning.drop_path=0.1")
    code, _, err = launch(*QUICK, *timm, *teacher, *drops)
    assert code == 0, err
    described = json.loads((tmp_path / "tuned" / "model.json").read_text())
    assert described["timm"] == "mobilenetv3_small_050"
    assert described["mean"] == pytest.approx([0.485, 0.456, 0.406])
    assert nas.load(tmp_path / "tuned")(torch.rand(2, 3, 8, 8)).shape == (2, 10)


WRONG = {
    "no model": ((), "name one model"),
    "a misspelt optimizer": (("run=run", "finetuning.optimizer_name=rmsprop_tf"), "did you mean 'rmsproptf'?"),
    "a misspelt key": (("run=run", "finetuning.epoch=1"), "did you mean 'finetuning.epochs'?"),
    "a misspelt recipe": (("run=run", "finetuning=cifr"), "did you mean 'cifar'?"),
    "a policy that is unknown": (
        ("run=run", "dataset=digits", "dataset.augmentation.policy=rnd"),
        "dataset.augmentation.policy=rnd is unknown",
    ),
    "a range": (("run=run", "finetuning.dropout=1.5"), "finetuning.dropout=1.5 is wrong"),
    "no such member": (("run=run", "arch=99"), "arch=99"),
    "no drop-path": (("run=run", "finetuning.drop_path=0.2"), "Tiny, have no drop_path"),
    "a teacher with other classes": (
        ("run=run", "finetuning.teacher=timm:resnet18", "finetuning.distillation=1"),
        "1,000 classes, the data set has 10",
    ),
    "a teacher that does not exist": (
        ("run=run", "finetuning.teacher=nowhere", "finetuning.distillation=1"),
        "nowhere does not exist",
    ),
    "no data set": (("model=timm:resnet18", "weights=random"), "add dataset=NAME"),
    "a folder that is no run": (("run=cache",), "holds no finished run"),
    "another place for results": (("run=run", "paths.run=run"), "holds a run with other settings"),
}


@pytest.mark.parametrize(
    "case", slow_but({"no model", "a misspelt optimizer", "a range", "a teacher with other classes"}, WRONG)
)
def test_wrong_input_ends_in_one_line_and_nothing_is_written(case, finished, launch, tmp_path):
    words, message = WRONG[case]
    (tmp_path / "cache").mkdir(exist_ok=True)
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if "images" not in path.parts)
    code, _, err = launch(*QUICK, *words)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1, err
    after = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if "images" not in path.parts)
    assert after == before


def test_weights_of_another_architecture_are_refused(finished, launch, tmp_path):
    code, _, err = launch(*FROM_RUN, "arch=0", "finetuning.epochs=1")
    assert code == 0, err
    other = torch.load(tmp_path / "tuned" / "net.inherited", weights_only=True)["state_dict"]
    shutil.copy(tmp_path / "tuned" / "net.config", tmp_path / "net.config")
    other["classifier.weight"] = other["classifier.weight"][:, :-1]
    torch.save({"state_dict": other}, tmp_path / "other.pth")
    code, _, err = launch(*QUICK, "paths.run=new", "model=net.config", "weights=other.pth", "dataset=digits")
    assert code == 2
    assert "holds the weights of another architecture" in err
    assert not (tmp_path / "new").exists()
    given = ("model=net.config", "weights=tuned/net.inherited", "dataset=digits", "finetuning.epochs=1")
    code, _, err = launch(*QUICK, "paths.run=new", *given)
    assert code == 0, err


def test_other_settings_do_not_go_on(finished, launch, tmp_path):
    code, _, err = launch(*FROM_RUN)
    assert code == 0, err
    code, _, err = launch(*FROM_RUN, "finetuning.lr=0.5")
    assert code == 2
    assert "finetuning.lr is 0.001 there and 0.5 here" in err


def test_a_folder_in_use_is_refused(finished, launch, tmp_path):
    with RunFolder(tmp_path / "tuned").lease():
        code, _, err = launch(*FROM_RUN)
    assert code == 2
    assert "is in use by process" in err
