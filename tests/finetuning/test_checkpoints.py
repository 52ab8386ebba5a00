import torch

from nas.finetuning.checkpoints import Best, Checkpoints, Progress


def progress(epoch: int, best: int) -> Progress:
    rows = [{"epoch": number, "lr": None} for number in range(epoch + 1)]
    return Progress(rows=rows, best=Best(best, False, 90.0, 99.0, 0.5), state={"network": {"w": torch.tensor(epoch)}})


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
