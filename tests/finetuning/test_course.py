import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nas.errors import RunError
from nas.evaluator.accuracy import Metrics
from nas.finetuning.course import COLUMNS, Best, Checkpoint, Checkpoints, Course
from nas.finetuning.trainer import Trainer
from nas.training import checkpoint
from tests.finetuning.parts import course, network, recipe, trainer


class Killed(BaseException):
    """Like kill -9: nothing catches it."""


def whole(folder: Path, **changes: Any) -> dict[str, Any]:
    torch.manual_seed(len(str(folder)))  # nothing depends on the global generator
    subject = course(folder, trainer(network(dropout=0.2), **changes), **changes)
    subject.begin()
    subject.epochs(silent, silent)
    return contents(folder)


def silent(*_: Any) -> None:
    pass


def contents(folder: Path) -> dict[str, Any]:
    files = {name: checkpoint.load(folder / "checkpoints" / name) for name in ("last.pt", "best.pt")}
    return files | {"summary": (folder / "summary.csv").read_bytes()}


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    digests = [{name: checkpoint._digest(content) for name, content in found.items()} for found in (a, b)]
    return digests[0] == digests[1]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return whole(tmp_path_factory.mktemp("whole"))


MOMENTS = {
    "in the first epoch": (Trainer, "_step", 3),
    "in the last epoch": (Trainer, "_step", 11),
    "before the first epoch is measured": (Course, "_add", 2),
    "in writing the first file": (checkpoint, "save", 1),
    "after the best weights are written": (checkpoint, "save", 4),
    "between the two files of an epoch": (Path, "replace", 5),
    "in writing the summary": (Course, "_write_summary", 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_it_ends_as_if_nothing_had_happened(moment, undisturbed, tmp_path, monkeypatch):
    owner, name, deadly = MOMENTS[moment]
    real, calls = getattr(owner, name), []

    def dies(*arguments: Any, **named: Any) -> Any:
        calls.append(name)
        if len(calls) == deadly:
            raise Killed
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dies)
        with pytest.raises(Killed):
            whole(tmp_path)
    assert same(whole(tmp_path), undisturbed)


def test_the_same_seed_gives_the_same_and_another_recipe_something_else(undisturbed, tmp_path):
    assert same(whole(tmp_path / "again"), undisturbed)
    assert not same(whole(tmp_path / "other", lr=0.003), undisturbed)


@pytest.mark.parametrize("damaged", ["last.pt", "best.pt"])
def test_a_damaged_file_is_made_again(damaged, undisturbed, tmp_path, caplog):
    whole(tmp_path)
    path = tmp_path / "checkpoints" / damaged
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert same(whole(tmp_path), undisturbed)
    assert f"{damaged} is damaged" in caplog.text


def test_a_finished_one_trains_no_more(undisturbed, tmp_path, monkeypatch):
    whole(tmp_path)
    monkeypatch.setattr(Trainer, "train_epoch", None)
    assert same(whole(tmp_path), undisturbed)


def test_files_of_a_killed_process_are_removed(tmp_path):
    subject = course(tmp_path)
    subject.begin()
    left = tmp_path / "checkpoints" / ".last.pt.1234.tmp"
    left.write_bytes(b"half")
    subject.epochs(silent, silent)
    assert sorted(path.name for path in left.parent.iterdir()) == ["best.pt", "last.pt", "previous.pt"]


def test_the_summary_has_a_row_an_epoch(tmp_path):
    whole(tmp_path)
    with (tmp_path / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    assert [row["lr"] for row in rows] == ["", "0.0005", "0.01", "0.005"]
    assert rows[0]["train_loss"] == ""
    assert all(row["val_loss"] and row["top1"] and row["ema_top1"] for row in rows)


def scripted(folder: Path, accuracies: list[tuple[float, float]], **changes: Any) -> tuple[Course, Any]:
    """Return a course whose networks achieve these top-1 accuracies and losses, one measurement after the other."""
    script = iter(accuracies)
    seen: list[dict[str, torch.Tensor]] = []

    def measured(network: nn.Module) -> Metrics:
        seen.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        top1, loss = next(script)
        return Metrics(loss=loss, top1=top1, top5=100.0)

    settings = {"epochs": 2, "warmup_epochs": 0} | changes
    subject = Course(
        trainer=trainer(**settings), members=None, measure=measured, recipe=recipe(**settings), folder=folder
    )
    return subject, seen


@pytest.mark.parametrize(
    ("accuracies", "best"),
    [
        ([(50, 1), (50, 1), (60, 1), (55, 1), (59, 1), (58, 1)], (1, False, 2)),
        ([(50, 1), (50, 1), (60, 1), (55, 1), (59, 1), (61, 1)], (2, True, 5)),
        ([(50, 1), (50, 1), (50, 0.9), (50, 0.8), (50, 0.8), (50, 0.9)], (1, True, 3)),
        ([(70, 1), (70, 1), (60, 1), (55, 1), (59, 1), (61, 1)], (0, False, 0)),
    ],
    ids=["weights", "average", "loss decides between equals", "before training"],
)
def test_the_best_weights_are_kept(accuracies, best, tmp_path):
    subject, seen = scripted(tmp_path, accuracies)
    subject.begin()
    found = subject.epochs(silent, silent)
    assert (found.epoch, found.averaged) == best[:2]
    kept = subject.best_weights()
    assert all(torch.equal(tensor, seen[best[2]][name]) for name, tensor in kept.items())


def test_progress_is_told(tmp_path):
    subject = course(tmp_path, epochs=2)
    steps: list[tuple[int, int]] = []
    rows: list[Any] = []
    subject.begin()
    subject.epochs(rows.append, lambda *step: steps.append(step))
    assert [row["epoch"] for row in rows] == [1, 2]
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)] * 2


def test_a_loss_that_is_not_finite_ends_it(tmp_path):
    subject = course(tmp_path, lr=1e30, clip_norm=None, warmup_epochs=0, ema=None)
    subject.begin()
    with pytest.raises(RunError, match=r"is not finite; lower finetuning.lr=1e\+30"):
        subject.epochs(silent, silent)


def progress(epoch: int, best: int) -> Checkpoint:
    rows = [{"epoch": number, "lr": None} for number in range(epoch + 1)]
    return Checkpoint(rows=rows, best=Best(best, False, 90.0, 99.0, 0.5), state={"network": {"w": torch.tensor(epoch)}})


def test_what_is_saved_is_loaded(tmp_path):
    subject = Checkpoints(tmp_path / "new")
    assert subject.load() is None
    assert subject.best_weights() is None
    subject.save(progress(0, 0), {"w": torch.ones(3)})
    subject.save(progress(1, 0), None)
    found = Checkpoints(tmp_path / "new").load()
    assert found is not None
    assert [row["epoch"] for row in found.rows] == [0, 1]
    assert found.best == Best(0, False, 90.0, 99.0, 0.5)
    assert found.state["network"]["w"] == 1
    weights = subject.best_weights()
    assert weights is not None
    assert torch.equal(weights["w"], torch.ones(3))


def test_a_best_file_of_an_epoch_that_is_lost_does_no_harm(tmp_path):
    subject = Checkpoints(tmp_path)
    subject.save(progress(0, 0), {"w": torch.ones(3)})
    subject.save(progress(1, 1), {"w": torch.zeros(3)})
    (tmp_path / "last.pt").unlink()
    found = subject.load()
    assert found is not None
    assert len(found.rows) == 1


def test_without_the_best_weights_all_is_done_again(tmp_path, caplog):
    subject = Checkpoints(tmp_path)
    subject.save(progress(0, 0), {"w": torch.ones(3)})
    kept = (tmp_path / "best.pt").read_bytes()
    subject.save(progress(1, 1), {"w": torch.zeros(3)})
    (tmp_path / "best.pt").write_bytes(kept)
    assert subject.load() is None
    assert "the training starts again" in caplog.text
